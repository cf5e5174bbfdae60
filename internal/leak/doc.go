// Package leak redacts known secret values from a byte stream, such as the
// output of a child process under `keyturn run`.
//
// Compile turns each value (a [Needle]) and its parts (parts.go) into forms: as
// it is, in base64, base32, hex and other bases (encode.go). All forms share one
// Aho–Corasick automaton, kept in memory linear in the bytes of the forms. A
// filter of four-byte grams decides which stretches of ordinary text the
// automaton may skip. A [Writer] runs it over several readings of the stream
// (views.go): the bytes themselves; what a terminal shows of them, in one line,
// so that a value which is coloured, wrapped or folded is seen in one piece; the
// same with escapes decoded, once and twice (decode.go); and what lists of
// numbers and hex dumps say (numbers.go). Whatever one of them finds is replaced
// in the original: the union of all occurrences is covered, one marker for each
// stretch of occurrences that share bytes, and bytes that might begin an
// occurrence are held until that is known. Where a bound on memory would break
// that promise the Writer withholds text instead of showing it.
//
// Who chooses a value can use it to ask about others: its marker shows where they begin as
// it does. So values that the caller may have chosen get a Writer of their own behind that
// of the others, which sees what is left; and for a caller who may guess, only values of
// [MinBits] are sought ([Bits] estimates them). A [Search] seeks values in what a caller
// brings along.
//
// Redaction guards against accidents. A program that wants to leak a value it
// was given can always transform it in a way that is not listed in docs/redaction.md.
package leak
