package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/seed-512d3d71/weft/audio/internal/flac"
)

var (
	// ErrUnsupported is wrapped by the errors of formats, codecs, feature
	// extractors and options that this package lacks; the error names them.
	ErrUnsupported = errors.New("unsupported")
	// ErrFormat is wrapped by the error of bytes that are no known sound format.
	ErrFormat = errors.New("not a sound file that this package knows (WAV, FLAC)")
	// ErrTooLarge is wrapped by the errors of sounds beyond [Limits].
	ErrTooLarge = errors.New("too large")
)

// Clip is a sound.
type Clip struct {
	// Samples are interleaved: channel c of frame i is Samples[i*Channels+c].
	// Integer formats give [-1, 1), float formats what the file holds.
	Samples  []float32
	Channels int
	Rate     int // frames a second, Hz
}

// Frames returns the number of samples of each channel.
func (c *Clip) Frames() int {
	if c.Channels <= 0 {
		return 0
	}
	return len(c.Samples) / c.Channels
}

// Mono returns the mean of the channels, summed in their order in float32. The
// samples of a clip of one channel are returned as they are, not copied.
func (c *Clip) Mono() []float32 {
	if c.Channels <= 1 {
		return c.Samples
	}
	out := make([]float32, c.Frames())
	for i := range out {
		sum := float32(0)
		for _, v := range c.Samples[i*c.Channels:][:c.Channels] {
			sum += v
		}
		out[i] = sum / float32(c.Channels)
	}
	return out
}

// check refuses a clip whose fields do not fit together.
func (c *Clip) check() error {
	switch {
	case c == nil:
		return errors.New("audio: no clip")
	case c.Channels < 1 || len(c.Samples)%c.Channels != 0:
		return fmt.Errorf("audio: clip of %d samples in %d channels", len(c.Samples), c.Channels)
	case c.Rate < 1:
		return fmt.Errorf("audio: clip of %d Hz", c.Rate)
	}
	return nil
}

// Limits bounds what [Decode] takes; a field that is 0 or less has its default.
type Limits struct {
	// Samples is the greatest number of samples, all channels together.
	// Default 2²⁸ (1 GiB of float32; 4.6 hours of one channel at 16 kHz).
	Samples int
	// Bytes is the greatest size of the file. Default 1 GiB.
	Bytes int64
}

const maxSamples = 1 << 28

func (l Limits) orDefault() Limits {
	if l.Samples <= 0 {
		l.Samples = maxSamples
	}
	if l.Bytes <= 0 {
		l.Bytes = 1 << 30
	}
	return l
}

// maxChannels is libsndfile's limit.
const maxChannels = 1024

// Decode reads a sound file. The format is told by its first bytes: WAV (RIFF,
// RIFX, RF64 and BW64 with PCM, IEEE float, A-law and µ-law samples) or FLAC.
// Other formats and codecs give an error that wraps [ErrUnsupported].
func Decode(r io.Reader, lim Limits) (*Clip, error) {
	lim = lim.orDefault()
	b, err := io.ReadAll(io.LimitReader(r, lim.Bytes+1))
	if err != nil {
		return nil, fmt.Errorf("audio: %w", err)
	}
	return DecodeBytes(b, lim)
}

// DecodeBytes is [Decode] for a file in memory.
func DecodeBytes(b []byte, lim Limits) (c *Clip, err error) {
	// A decoder's own checks come first; this is the last line, so that no
	// file can end the process.
	defer func() {
		if e := recover(); e != nil {
			c, err = nil, fmt.Errorf("audio: damaged file: %v", e)
		}
	}()
	lim = lim.orDefault()
	if int64(len(b)) > lim.Bytes {
		return nil, fmt.Errorf("audio: %w: file of more than %d bytes", ErrTooLarge, lim.Bytes)
	}
	name, rest := sniff(b)
	switch name {
	case "WAV":
		c, err = decodeWAV(rest, lim)
	case "FLAC":
		c, err = decodeFLAC(rest, lim)
	case "":
		return nil, fmt.Errorf("audio: %w", ErrFormat)
	default:
		return nil, fmt.Errorf("audio: %w: %s file", ErrUnsupported, name)
	}
	if err != nil {
		return nil, fmt.Errorf("audio: %w", err)
	}
	return c, nil
}

// Open reads the sound file at path, which must be a regular file, within the
// default limits; see [Decode].
func Open(path string) (*Clip, error) {
	// Stat first: opening a FIFO would wait for its writer.
	if st, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("audio: %w", err)
	} else if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("audio: %s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("audio: %w", err)
	}
	defer f.Close()
	c, err := Decode(f, Limits{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func decodeFLAC(b []byte, lim Limits) (*Clip, error) {
	s, err := flac.Decode(b, lim.Samples)
	switch {
	case errors.Is(err, flac.ErrTooLarge):
		return nil, fmt.Errorf("flac: %w: more than %d samples", ErrTooLarge, lim.Samples)
	case err != nil:
		return nil, err
	}
	return &Clip{Samples: s.Samples, Channels: s.Channels, Rate: s.Rate}, nil
}

// sniff names the format that a file begins with and returns the file without
// any ID3v2 tag in front.
func sniff(b []byte) (name string, rest []byte) {
	has := func(at int, s string) bool {
		return len(b) >= at+len(s) && string(b[at:at+len(s)]) == s
	}
	tagged := false
	for has(0, "ID3") && len(b) >= 10 {
		// Four bytes of seven bits, the header and footer not counted.
		n := 10 + int(b[6]&0x7f)<<21 + int(b[7]&0x7f)<<14 + int(b[8]&0x7f)<<7 + int(b[9]&0x7f)
		if b[5]&0x10 != 0 {
			n += 10
		}
		b, tagged = b[min(n, len(b)):], true
	}
	switch {
	case has(8, "WAVE") && (has(0, "RIFF") || has(0, "RIFX") || has(0, "RF64") || has(0, "BW64")):
		return "WAV", b
	case has(0, "fLaC"):
		return "FLAC", b
	case has(0, "OggS"):
		return "Ogg", b
	case has(0, "FORM") && (has(8, "AIFF") || has(8, "AIFC")):
		return "AIFF", b
	case has(0, ".snd"):
		return "AU", b
	case has(0, "caff"):
		return "CAF", b
	case has(0, "riff\x2e\x91\xcf\x11"):
		return "Wave64", b
	case has(4, "ftyp"):
		return "MP4", b
	case has(0, "\x1a\x45\xdf\xa3"):
		return "Matroska", b
	case has(0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"):
		return "ASF", b
	case has(0, "#!AMR"):
		return "AMR", b
	case len(b) >= 2 && binary.BigEndian.Uint16(b)&0xfff6 == 0xfff0:
		return "AAC", b
	case tagged || len(b) >= 4 && b[0] == 0xff && b[1]&0xe0 == 0xe0 && b[1]&0x06 != 0 && !bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return "MP3", b
	}
	return "", b
}
