package ptx

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
)

// module is a parsed file.
type module struct {
	target  int // of .target, times ten
	entries map[string]*entry
	funcs   map[string]*function
	dynamic map[string]bool // names of .extern .shared arrays
}

// entry is a kernel as it is written.
type entry struct {
	name    string
	params  []param
	size    int               // of the parameters, in bytes
	threads [3]int            // of .reqntid
	regs    map[string]string // type by name; numbered ones are declared one by one
	shared  []param
	local   []param
	stmts   []stmt
	labels  map[string]int // statement by label
}

// function is a .func, whose parameters and results are registers.
type function struct {
	entry
	in, out []string
}

// param is a named piece of memory.
type param struct {
	name                string
	offset, size, align int
}

// stmt is an instruction.
type stmt struct {
	line  int
	guard string // predicate register, or ""
	not   bool
	op    []string // mnemonic, split at the dots
	args  []operand
}

func (s *stmt) String() string { return strings.Join(s.op, ".") }

// has reports whether the mnemonic has a suffix.
func (s *stmt) has(suffix string) bool {
	for _, o := range s.op[1:] {
		if o == suffix {
			return true
		}
	}
	return false
}

// last is the mnemonic's last suffix, its type.
func (s *stmt) last() string { return s.op[len(s.op)-1] }

type operandKind int

const (
	opName operandKind = iota // register, label or variable
	opInt
	opFloat // f32, by bits
	opMem
	opVec
)

type operand struct {
	kind operandKind
	name string // of a register, or of the base of an address
	n    int64  // integer, bits of a float, or offset of an address
	vec  []operand
}

var sizes = map[string]int{
	"b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "s16": 2, "f16": 2, "bf16": 2, "b32": 4, "u32": 4, "s32": 4, "f32": 4,
	"f16x2": 4, "bf16x2": 4, "tf32": 4, "b64": 8, "u64": 8, "s64": 8, "f64": 8, "pred": 1,
}

// parser walks through the text of a file, cut into tokens.
type parser struct {
	toks []token
	pos  int
}

type token struct {
	text string
	line int
}

type parseError struct {
	line int
	msg  string
}

func (e parseError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.msg) }

func (p *parser) fail(format string, a ...any) {
	line := 0
	if len(p.toks) > 0 {
		line = p.toks[min(p.pos, len(p.toks)-1)].line
	}
	panic(parseError{line, fmt.Sprintf(format, a...)})
}

func (p *parser) peek() string {
	if p.pos < len(p.toks) {
		return p.toks[p.pos].text
	}
	return ""
}

func (p *parser) next() string {
	t := p.peek()
	if t == "" {
		p.fail("the text ends early")
	}
	p.pos++
	return t
}

func (p *parser) want(t string) {
	if got := p.next(); got != t {
		p.pos--
		p.fail("%q, want %q", got, t)
	}
}

func (p *parser) accept(t string) bool {
	if p.peek() == t {
		p.pos++
		return true
	}
	return false
}

func (p *parser) integer() int {
	t := p.next()
	n, err := strconv.ParseInt(t, 0, 64)
	if err != nil || n < 0 || n > 1<<30 {
		p.fail("%q is no size", t)
	}
	return int(n)
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c == '%' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// tokens cuts a text into words and signs.
func tokens(src string) []token {
	var list []token
	line := 1
	for i := 0; i < len(src); {
		switch c := src[i]; {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(src[i:], "//"):
			for i < len(src) && src[i] != '\n' {
				i++
			}
		case isWord(c):
			j := i
			for j < len(src) && (isWord(src[j]) || strings.HasPrefix(src[j:], "::")) {
				if src[j] == ':' {
					j++ // shared::cta
				}
				j++
			}
			list = append(list, token{src[i:j], line})
			i = j
		default:
			list = append(list, token{src[i : i+1], line})
			i++
		}
	}
	return list
}

// parse reads a file.
func parse(src []byte) (m *module, err error) {
	p := &parser{toks: tokens(string(src))}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(parseError)
			if !ok {
				panic(r)
			}
			m, err = nil, e
		}
	}()
	m = &module{entries: map[string]*entry{}, funcs: map[string]*function{}, dynamic: map[string]bool{}}
	for p.peek() != "" {
		switch t := p.next(); t {
		case ".version", ".address_size":
			p.next()
		case ".target":
			t := p.next()
			n, err := strconv.Atoi(strings.TrimRight(strings.TrimPrefix(t, "sm_"), "abcdefghijklmnopqrstuvwxyz"))
			if err != nil {
				p.fail("target %q", t)
			}
			m.target = n
		case ".visible":
		case ".extern":
			p.want(".shared")
			v := p.variable()
			p.want(";")
			m.dynamic[v.name] = true
		case ".entry":
			e := p.entry()
			m.entries[e.name] = e
		case ".func":
			f := p.function()
			m.funcs[f.name] = f
		default:
			p.pos--
			p.fail("unknown directive %q", t)
		}
	}
	return m, nil
}

// variable reads [.align N] .type name[[size]].
func (p *parser) variable() param {
	v := param{align: 1}
	if p.accept(".align") {
		v.align = p.integer()
	}
	t := p.next()
	size := sizes[strings.TrimPrefix(t, ".")]
	if size == 0 {
		p.fail("type %q", t)
	}
	v.align = max(v.align, size)
	v.name, v.size = p.next(), size
	if p.accept("[") {
		v.size = 0
		if p.peek() != "]" {
			v.size = size * p.integer()
		}
		p.want("]")
	}
	return v
}

// place puts v behind a list of variables.
func place(list []param, v param) []param {
	end := 0
	if n := len(list); n > 0 {
		end = list[n-1].offset + list[n-1].size
	}
	v.offset = (end + v.align - 1) / v.align * v.align
	return append(list, v)
}

// function reads (results) name(parameters) { … }.
func (p *parser) function() *function {
	f := &function{entry: entry{regs: map[string]string{}, labels: map[string]int{}}}
	registers := func() (names []string) {
		p.want("(")
		for !p.accept(")") {
			p.want(".reg")
			typ := strings.TrimPrefix(p.next(), ".")
			if sizes[typ] == 0 || typ == "pred" {
				p.fail("type %q", typ)
			}
			name := p.next()
			f.regs[name] = typ
			names = append(names, name)
			p.accept(",")
		}
		return names
	}
	f.out = registers()
	f.name = p.next()
	f.in = registers()
	p.want("{")
	p.body(&f.entry)
	return f
}

func (p *parser) entry() *entry {
	e := &entry{name: p.next(), regs: map[string]string{}, labels: map[string]int{}}
	p.want("(")
	for !p.accept(")") {
		p.want(".param")
		e.params = place(e.params, p.variable())
		p.accept(",")
	}
	if n := len(e.params); n > 0 {
		e.size = e.params[n-1].offset + e.params[n-1].size
	}
	for !p.accept("{") {
		switch d := p.next(); d {
		case ".reqntid":
			e.threads = [3]int{1, 1, 1}
			for i := range 3 {
				e.threads[i] = p.integer()
				if !p.accept(",") {
					break
				}
			}
		case ".maxntid", ".minnctapersm", ".maxnreg":
			p.integer()
			for p.accept(",") {
				p.integer()
			}
		default:
			p.fail("unknown directive %q", d)
		}
	}
	p.body(e)
	return e
}

// body reads statements to the brace that ends them.
func (p *parser) body(e *entry) {
	for depth := 1; ; {
		switch {
		case p.accept("{"):
			depth++
		case p.accept("}"):
			if depth--; depth == 0 {
				return
			}
		default:
			p.statement(e)
		}
	}
}

func (p *parser) statement(e *entry) {
	switch t := p.next(); t {
	case ".reg":
		typ := strings.TrimPrefix(p.next(), ".")
		if sizes[typ] == 0 {
			p.fail("type %q", typ)
		}
		for {
			name := p.next()
			if p.accept("<") {
				n := p.integer()
				p.want(">")
				for i := range n {
					e.regs[name+strconv.Itoa(i)] = typ
				}
			} else {
				e.regs[name] = typ
			}
			if !p.accept(",") {
				break
			}
		}
		p.want(";")
	case ".shared":
		e.shared = place(e.shared, p.variable())
		p.want(";")
	case ".local":
		e.local = place(e.local, p.variable())
		p.want(";")
	case ".pragma":
		for p.next() != ";" {
		}
	default:
		if p.accept(":") {
			if _, twice := e.labels[t]; twice {
				p.fail("label %s twice", t)
			}
			e.labels[t] = len(e.stmts)
			return
		}
		p.pos--
		p.instruction(e)
	}
}

func (p *parser) instruction(e *entry) {
	s := stmt{line: p.toks[p.pos].line}
	if p.accept("@") {
		s.not = p.accept("!")
		s.guard = p.next()
	}
	op := p.next()
	s.op = strings.Split(op, ".")
	for !p.accept(";") {
		s.args = append(s.args, p.operand())
		if !p.accept(",") && !p.accept("|") && p.peek() != ";" {
			p.fail("%q in the operands of %s", p.peek(), op)
		}
	}
	e.stmts = append(e.stmts, s)
}

// list reads operands up to a closing sign.
func (p *parser) list(end string) operand {
	o := operand{kind: opVec}
	for !p.accept(end) {
		o.vec = append(o.vec, p.operand())
		p.accept(",")
	}
	return o
}

func (p *parser) operand() operand {
	switch {
	case p.accept("["):
		o := p.operand()
		if o.kind == opInt {
			o = operand{kind: opMem, n: o.n}
		}
		o.kind = opMem
		if p.accept("+") {
			n := p.operand()
			if n.kind != opInt {
				p.fail("an offset that is no number")
			}
			o.n += n.n
		}
		for p.accept(",") { // coordinates of a tensor map
			o.vec = append(o.vec, p.operand())
		}
		p.want("]")
		return o
	case p.accept("{"):
		return p.list("}")
	case p.accept("("): // of a call
		return p.list(")")
	case p.accept("-"):
		o := p.operand()
		if o.kind != opInt {
			p.fail("a minus before what is no number")
		}
		o.n = -o.n
		return o
	}
	t := p.next()
	if len(t) == 10 && (strings.HasPrefix(t, "0f") || strings.HasPrefix(t, "0F")) {
		n, err := strconv.ParseUint(t[2:], 16, 32)
		if err != nil {
			p.fail("float %q", t)
		}
		return operand{kind: opFloat, n: int64(n)}
	}
	if t[0] >= '0' && t[0] <= '9' {
		n, err := strconv.ParseInt(strings.TrimSuffix(t, "U"), 0, 64)
		if err != nil {
			u, err := strconv.ParseUint(strings.TrimSuffix(t, "U"), 0, 64)
			if err != nil {
				p.fail("number %q", t)
			}
			n = int64(u)
		}
		return operand{kind: opInt, n: n}
	}
	if !isWord(t[0]) {
		p.fail("operand %q", t)
	}
	return operand{kind: opName, name: t}
}

func f32(bits uint32) float32 { return math.Float32frombits(bits) }
func bits32(x float32) uint32 { return math.Float32bits(x) }

// expand puts the functions that e calls in the place of the calls, with
// registers and labels of their own.
func (m *module) expand(e *entry) (*entry, error) {
	out := *e
	out.regs, out.labels, out.stmts = maps.Clone(e.regs), map[string]int{}, nil
	at := make([][]string, len(e.stmts)+1) // labels by statement
	for l, i := range e.labels {
		at[i] = append(at[i], l)
	}
	calls := 0
	for i := range len(e.stmts) + 1 {
		for _, l := range at[i] {
			out.labels[l] = len(out.stmts)
		}
		if i == len(e.stmts) {
			break
		}
		s := e.stmts[i]
		if s.op[0] != "call" {
			out.stmts = append(out.stmts, s)
			continue
		}
		if len(s.args) != 3 || s.args[0].kind != opVec || s.args[2].kind != opVec || s.guard != "" {
			return nil, fmt.Errorf("line %d: a call that is not interpreted", s.line)
		}
		f := m.funcs[s.args[1].name]
		if f == nil || len(f.in) != len(s.args[2].vec) || len(f.out) != len(s.args[0].vec) || len(f.params) > 0 || len(f.shared) > 0 || len(f.local) > 0 {
			return nil, fmt.Errorf("line %d: no such function as %s", s.line, s.args[1].name)
		}
		calls++
		own := func(name string) string {
			if _, ok := f.regs[name]; !ok {
				if _, ok := f.labels[name]; !ok {
					return name
				}
			}
			return fmt.Sprintf("%s@%d", name, calls)
		}
		for name, typ := range f.regs {
			out.regs[own(name)] = typ
		}
		move := func(typ string, to, from operand) {
			out.stmts = append(out.stmts, stmt{line: s.line, op: []string{"mov", fmt.Sprintf("b%d", 8*sizes[typ])}, args: []operand{to, from}})
		}
		for j, name := range f.in {
			move(f.regs[name], operand{name: own(name)}, s.args[2].vec[j])
		}
		base, end := len(out.stmts), fmt.Sprintf("end@%d", calls)
		for _, t := range f.stmts {
			if t.op[0] == "call" {
				return nil, fmt.Errorf("line %d: a call in a function", t.line)
			}
			if t.op[0] == "ret" {
				t.op, t.args = []string{"bra"}, []operand{{name: end}}
			} else {
				t.args = renamed(t.args, own)
			}
			if t.guard != "" {
				t.guard = own(t.guard)
			}
			out.stmts = append(out.stmts, t)
		}
		for l, i := range f.labels {
			out.labels[own(l)] = base + i
		}
		out.labels[end] = len(out.stmts)
		for j, name := range f.out {
			move(f.regs[name], s.args[0].vec[j], operand{name: own(name)})
		}
	}
	return &out, nil
}

// renamed returns operands with other names.
func renamed(args []operand, name func(string) string) []operand {
	out := make([]operand, len(args))
	for i, a := range args {
		if a.name != "" {
			a.name = name(a.name)
		}
		a.vec = renamed(a.vec, name)
		out[i] = a
	}
	return out
}
