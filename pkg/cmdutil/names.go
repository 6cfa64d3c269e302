package cmdutil

// Completion must be quick and must never fail: what can't be read is simply
// not offered.

func labNames(f *Factory) []string {
	c, err := f.Catalog()
	if err != nil {
		return nil
	}
	names, err := c.Names()
	if err != nil {
		return nil
	}
	return names
}

func endpointNames(f *Factory, lab string) []string {
	c, err := f.Catalog()
	if err != nil {
		return nil
	}
	entry, err := c.Get(lab)
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(entry.Lab.Endpoints))
	for _, ep := range entry.Lab.Endpoints {
		names = append(names, ep.Name)
	}
	return names
}

func componentNames(f *Factory, lab string) []string {
	c, err := f.Catalog()
	if err != nil {
		return nil
	}
	entry, err := c.Get(lab)
	if err != nil {
		return nil
	}
	return entry.Lab.Components
}

func taskNames(f *Factory, lab string) []string {
	c, err := f.Catalog()
	if err != nil {
		return nil
	}
	entry, err := c.Get(lab)
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(entry.Lab.Tasks))
	for _, t := range entry.Lab.Tasks {
		names = append(names, t.ID)
	}
	return names
}
