// Package leak redacts known secret values from a byte stream, such as the
// output of a child process under `keyturn run`.
//
// Compile turns each value (a [Needle]) into forms, the ways a program is
// likely to print it: as it is, line by line, in base64, hex, percent, JSON,
// markup, shell and UTF-16 spelling. All forms share one Aho–Corasick
// automaton, kept in memory linear in the bytes of the forms. A filter of
// four-byte grams decides which stretches of ordinary text the automaton may
// skip. A [Writer] runs it over two views of the stream: the bytes themselves,
// and a shadow in which terminal sequences, CR, and LF with the indent after
// it are removed, so that a value which is coloured, wrapped or folded is seen
// in one piece. Whatever either view finds is replaced in the original: the
// union of all occurrences is covered, one marker for each stretch of
// occurrences that share bytes, and bytes that might begin an occurrence are
// held until that is known. Where a bound on memory would break that promise
// the Writer withholds text instead of showing it.
//
// Who chooses a value can use it to ask about others: its marker shows where they begin as
// it does. So values that the caller may have chosen get a Writer of their own behind that
// of the others, which sees what is left; and for a caller who may guess, only values of
// [MinBits] are sought ([Bits] estimates them). A [Search] seeks values in what a caller
// brings along.
//
// Redaction guards against accidents. A program that wants to leak a value it
// was given can always transform it in a way that is not listed here.
package leak
