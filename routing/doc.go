// Package routing decides which route a request takes. A Builder compiles routes into a Table, which shards read.
//
// The result of a match is by definition that of a scan: take all alternatives of all rules (see package rule) in their
// order, and return the first that fits. The order is: priority, specificity of the host, specificity of the path,
// number of further predicates, name. The tests hold tables to it.
//
// The files stand in this order: request (what is matched), precedence (the order), table (the places of a table) with
// dict, radix, hashmap and patterns (what they are made of), spot and index (what stands at a place), builder (changing
// a table), match with host, lookup, predicate, anyof and query (searching it), judge (explaining it).
//
// Invariants: a Table is immutable, and shares structure with those made before and after it; Match neither locks nor,
// but for what its comment names, allocates. The package is pure: it imports routing/rule and routing/regset, and may
// be imported by both planes.
package routing
