package enginetest

var loadCases = []testCase{}
