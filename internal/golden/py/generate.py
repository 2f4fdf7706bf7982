"""Writes reference outputs of Hugging Face Transformers.

    python generate.py golden testdata/golden     the small set that go test compares with
    python generate.py cases DIR [--only PREFIX]  a large set for the command line

Run with transformers 5.23.0, torch 2.15.0 and numpy 2.4.6 (Python 3.11).
"""

import argparse
import os
import sys
import traceback

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import transformers

import bert
import clip
import common
import gpt
import moe
import vit
import wav2vec

FAMILIES = (bert, clip, gpt, moe, vit, wav2vec)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["golden", "cases"])
    ap.add_argument("dir")
    ap.add_argument("--only", default="", help="name prefixes, with commas")
    ap.add_argument("--missing", action="store_true", help="leave what is there already")
    a = ap.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    failed = 0
    for family in FAMILIES:
        for case in (family.golden if a.what == "golden" else family.cases)():
            if not case.name.startswith(tuple(a.only.split(","))):
                continue
            folder = os.path.join(a.dir, "cases" if a.what == "cases" else "", case.name)
            if a.missing and os.path.exists(os.path.join(folder, "ref.safetensors")):
                continue
            try:
                (common.write_golden if a.what == "golden" else common.write_case)(case, a.dir)
            except Exception as e:
                failed += 1
                print(f"{case.name}: {type(e).__name__}: {str(e)[:300]}", file=sys.stderr)
                if a.only:
                    traceback.print_exc()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
