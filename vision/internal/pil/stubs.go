package pil

func isTIFF(b []byte) bool                                         { return false }
func configTIFF(b []byte, lim Limits) (int, int, error)            { return 0, 0, ErrUnsupported }
func decodeTIFF(b []byte, lim Limits) (*Image, orientation, error) { return nil, 0, ErrUnsupported }
