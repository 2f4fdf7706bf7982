package pil

func isWebP(b []byte) bool { return false }
func configWebP(b []byte, lim Limits) (int, int, error) { return 0, 0, ErrUnsupported }
func decodeWebP(b []byte, lim Limits) (*Image, orientation, error) { return nil, 0, ErrUnsupported }
func isTIFF(b []byte) bool { return false }
func configTIFF(b []byte, lim Limits) (int, int, error) { return 0, 0, ErrUnsupported }
func decodeTIFF(b []byte, lim Limits) (*Image, orientation, error) { return nil, 0, ErrUnsupported }
