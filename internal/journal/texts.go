package journal

import "github.com/keyturn/keyturn"

// Text is what one file of a migration held and is to hold.
type Text struct {
	Before keyturn.Value // empty for a new file
	After  keyturn.Value
}

// textRow is a Text as a row holds it, which the store encrypts.
type textRow struct {
	Before []byte `json:"before,omitempty"`
	After  []byte `json:"after,omitempty"`
}

func encodeTexts(texts []Text) []textRow {
	list := make([]textRow, len(texts))
	for i, t := range texts {
		list[i] = textRow{t.Before.Reveal(), t.After.Reveal()}
	}
	return list
}

func decodeTexts(list []textRow) []Text {
	texts := make([]Text, len(list))
	for i, k := range list {
		texts[i] = Text{keyturn.NewValue(k.Before), keyturn.NewValue(k.After)}
	}
	return texts
}
