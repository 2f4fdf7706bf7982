"""Prints, for each narrow type, the CRC-32 of all its values as little-endian
float32 with every NaN made 0x7fc00000, as ml_dtypes and NumPy convert them:
the table in convert_test.go."""
import zlib

import ml_dtypes
import numpy as np

for name, dtype in [("F16", np.float16), ("BF16", ml_dtypes.bfloat16), ("F8_E4M3", ml_dtypes.float8_e4m3fn), ("F8_E5M2", ml_dtypes.float8_e5m2),
                    ("F8_E4M3FNUZ", ml_dtypes.float8_e4m3fnuz), ("F8_E5M2FNUZ", ml_dtypes.float8_e5m2fnuz), ("F8_E8M0", ml_dtypes.float8_e8m0fnu)]:
    width = np.dtype(dtype).itemsize
    bits = np.arange(1 << 8 * width, dtype=np.uint8 if width == 1 else np.uint16)
    values = bits.view(dtype).astype(np.float32).view(np.uint32).copy()
    values[(values & 0x7fffffff) > 0x7f800000] = 0x7fc00000
    print(f"{{{name}, {zlib.crc32(values.astype('<u4').tobytes()):#010x}}},")
