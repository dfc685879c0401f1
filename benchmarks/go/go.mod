module loam/benchmarks/go

go 1.19
