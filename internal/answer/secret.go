package answer

import "github.com/keyturn/keyturn"

// SecretOf returns what is known of a version, without any value.
func SecretOf(info keyturn.Info) Secret {
	d := Secret{Ref: info.Ref.String(), Path: info.Path, Version: VersionOf(info.Version), Created: Stamp(info.Created),
		Current: false, Expires: Stamp(info.Expires), Ends: Stamp(info.Ends), Fields: info.Fields, Public: info.Public}
	if info.State != keyturn.Live {
		d.State = string(info.State)
	} else if d.Labels = info.Labels; info.Labels == nil {
		d.Labels = map[string]string{}
	}
	return d
}

func secretOf(info keyturn.Info) *Secret {
	d := SecretOf(info)
	return &d
}

// Named returns secrets by their references alone; an empty list for none.
func Named(refs []keyturn.Ref) *[]Secret {
	list := []Secret{}
	for _, r := range refs {
		list = append(list, Secret{Ref: r.String()})
	}
	return &list
}

// ofVersion returns the reference as the caller gave it, and the version that it meant.
func ofVersion(ref keyturn.Ref, info keyturn.Info) Secret {
	return Secret{Ref: ref.String(), Version: VersionOf(info.Version)}
}

// Unnamed is the notice of a listing that left out secrets because no reference can hold
// their names.
const Unnamed = "some secrets there have names that no reference can hold: see the platform's own tools"

// listing is the document of a listing, which it ranges over. A folder that could not be
// listed makes the answer partial; any other error is returned.
func listing(op keyturn.Op, res *keyturn.Listing, about About) (Document, error) {
	doc := Success(op.Kind(), res.Receipt)
	under := op.(keyturn.ListSecrets).Under
	list, folders, unnamed := []Secret{}, []string{}, false
	for info, err := range res.Secrets {
		folder, isFolder := FolderOf(under, info)
		switch {
		case err != nil && info.IsFolder():
			doc.Partly(about.Verbose, keyturn.AsError(err))
		case err != nil:
			return Document{}, err
		case isFolder:
			folders = append(folders, folder.String())
		case info.Ref.IsZero():
			unnamed = true
		default:
			list = append(list, SecretOf(info))
		}
	}
	doc.Secrets, doc.Folders = &list, folders
	if unnamed {
		doc.Notices = append(doc.Notices, Unnamed)
	}
	return doc, nil
}

// FolderOf returns the prefix that a folder of a shallow listing stands for, and whether
// info is such a folder.
func FolderOf(under keyturn.Prefix, info keyturn.Info) (keyturn.Prefix, bool) {
	if !info.IsFolder() {
		return keyturn.Prefix{}, false
	}
	p, err := keyturn.ParsePrefix(info.Path)
	return p, err == nil && p.Mount() == under.Mount()
}

// Notices returns what the caller of a change should know beside the change.
func Notices(res *keyturn.Changed) []string {
	var out []string
	if res.Unseen {
		out = append(out, "you may not see what was there before, if anything was")
	}
	if res.Notice != "" {
		out = append(out, keyturn.Clean(res.Notice))
	}
	return out
}

// changed is the document of a secret that changed. A new version whose reader may not read it
// makes the answer partial.
func changed(op keyturn.Op, res *keyturn.Changed, about About) Document {
	kind := op.Kind()
	if _, put := op.(keyturn.PutSecret); put {
		kind = "update-secret"
		if res.Created {
			kind = "create-secret"
		}
	}
	doc := Success(kind, res.Receipt)
	doc.Secret, doc.Target, doc.Before, doc.Until = secretOf(res.Secret), Target(res.Receipt, res.Target), VersionOf(res.Before), Stamp(res.Until)
	doc.Notices = Notices(res)
	if res.Granted != nil && res.Granted.Policy != nil {
		doc.Policy = &Policy{Name: res.Granted.Policy.Name, Applied: res.Granted.Policy.Applied}
		for _, n := range res.Granted.Notices {
			doc.Notices = append(doc.Notices, keyturn.Clean(n))
		}
	}
	if res.Failed != nil {
		doc.Partly(about.Verbose, res.Failed)
	}
	if d, ok := op.(keyturn.DestroySecret); ok && len(d.Versions) > 0 {
		doc.Secret.State = "" // the secret itself is still there
		doc.Secrets = &[]Secret{}
		for _, v := range d.Versions {
			*doc.Secrets = append(*doc.Secrets, Secret{Ref: doc.Secret.Ref, Version: VersionOf(v), State: string(keyturn.Destroyed)})
		}
	}
	return doc
}

// copied is the document of a copy: the version that was made, and the one that was read.
func copied(op keyturn.Op, res *keyturn.Copied) Document {
	doc := Success(op.Kind(), res.Receipt)
	doc.Secret, doc.Before, doc.Left = secretOf(res.To), VersionOf(res.Before), res.Left
	doc.Target = Target(res.Receipt, res.Target)
	if o, ok := op.(keyturn.CopySecret); ok {
		read := ofVersion(o.From, res.From)
		doc.Source = &read
		if o.Verify {
			doc.Verified = &res.Verified
		}
	}
	return doc
}

// compared is the document of two secrets that were compared.
func compared(op keyturn.Op, res *keyturn.Differences) Document {
	doc := Success(op.Kind(), res.Receipt)
	same, fields := res.Same(), []Difference{}
	for _, f := range res.Fields {
		fields = append(fields, Difference{Field: f.Field, Is: f.Is})
	}
	doc.Same, doc.Fields = &same, &fields
	if o, ok := op.(keyturn.DiffSecrets); ok {
		doc.Secrets = &[]Secret{ofVersion(o.A, res.A), ofVersion(o.B, res.B)}
	}
	return doc
}
