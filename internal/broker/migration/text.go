package migration

import (
	"encoding/json"

	"github.com/keyturn/keyturn"
)

// kept is a Text as it stands in an item, which state encrypts.
type kept struct {
	Before []byte `json:"before,omitempty"`
	After  []byte `json:"after,omitempty"`
}

func encode(texts []Text) ([]byte, error) {
	list := make([]kept, len(texts))
	for i, t := range texts {
		list[i] = kept{t.Before.Reveal(), t.After.Reveal()}
	}
	body, err := json.Marshal(list)
	if err != nil {
		return nil, keyturn.E(keyturn.Internal, "the texts of a migration have no form", "") // a cause could quote them
	}
	return body, nil
}

func decode(body []byte) ([]Text, error) {
	var list []kept
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	texts := make([]Text, len(list))
	for i, k := range list {
		texts[i] = Text{keyturn.NewValue(k.Before), keyturn.NewValue(k.After)}
	}
	return texts, nil
}
