package config

import "strings"

// FindAdmin reads where the process answers that runs the configuration at paths. What else is wrong there does not
// matter: somebody who wants to know why a configuration is refused has a faulty one. The faults are those because of
// which the address cannot be told.
func FindAdmin(paths []string) (Admin, Faults) {
	files, faults := listFiles(paths)
	g := &loading{last: NewLoader(), next: NewLoader(), files: files}
	sources := make([]revised, len(files))
	for i, file := range files {
		var err error
		if sources[i], err = readFile(file, nil, nil); err != nil {
			faults = append(faults, unreadable(file, err))
		}
	}
	if len(faults) > 0 {
		return Admin{}, faults
	}
	g.revise(sources)
	if len(g.syntax) == 0 {
		g.merge()
		g.decode()
	}
	if len(g.syntax) > 0 {
		g.collector = collector{faults: g.syntax}
		return Admin{}, g.finish(files)
	}
	a := g.compose("").Admin
	for _, f := range g.finish(files) {
		if f.Key == "admin" || strings.HasPrefix(f.Key, "admin.") {
			faults = append(faults, f)
		}
	}
	return a, faults
}
