package support

// Random is the generator of benchmarks/support/random.h, number for number.
type Random struct {
	state uint64
}

func NewRandom(seed uint64) *Random {
	return &Random{seed*2 + 1}
}

func (r *Random) Next() uint64 {
	r.state ^= r.state >> 12
	r.state ^= r.state << 25
	r.state ^= r.state >> 27
	return r.state * 0x2545f4914f6cdd1d
}

// Below returns a number in [0, bound), for bounds up to 2^32.
func (r *Random) Below(bound uint64) uint64 {
	return ((r.Next() >> 32) * bound) >> 32
}
