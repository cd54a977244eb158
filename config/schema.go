package config

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Schema is a JSON schema, as far as configuration needs it. It is what the readers of tables say of themselves when
// they are asked to describe instead of to read, so that it cannot differ from what they take.
type Schema struct {
	Draft       string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Const       any                `json:"const,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     *int               `json:"maximum,omitempty"`
	Default     any                `json:"default,omitempty"`
	AnyOf       []*Schema          `json:"anyOf,omitempty"`
	Items       *Schema            `json:"items,omitempty"`
	MinItems    int                `json:"minItems,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Names       *Schema            `json:"propertyNames,omitempty"`
	Required    []string           `json:"required,omitempty"`
	// Others is false when there are no properties but those listed, or what those are like.
	Others any `json:"additionalProperties,omitempty"`
}

// add describes a key.
func (s *Schema) add(key, says string, of *Schema) *Schema {
	of.Description = says
	if s.Properties == nil {
		s.Properties = map[string]*Schema{}
	}
	s.Properties[key] = of
	return of
}

// portList is a list of ports and ranges of them, for which a single one may stand.
func portList() *Schema {
	port := &Schema{AnyOf: []*Schema{{Type: "string"}, {Type: "integer"}}}
	return &Schema{AnyOf: append(port.AnyOf, &Schema{Type: "array", Items: port, MinItems: 1})}
}

// textList is a list of strings, for which a single one may stand.
func textList(some bool) *Schema {
	list := &Schema{Type: "array", Items: &Schema{Type: "string"}}
	if some {
		list.MinItems = 1
	}
	return &Schema{AnyOf: []*Schema{{Type: "string"}, list}}
}

// describeTable has the readers of a table describe what they take.
func describeTable(read func(*table)) *Schema {
	t := newTable(&decoder{listeners: &nameSet{}, services: &nameSet{}}, "", "", nil)
	t.shape = &Schema{Type: "object", Others: false}
	read(t)
	return t.shape
}

// named describes a group of named tables.
func (s *Schema) named(g group, says string, read func(*table)) {
	s.add(groupNames[g], says, &Schema{
		Type: "object", Others: describeTable(read),
		Names: &Schema{Pattern: fmt.Sprintf("^[A-Za-z0-9_.@-]{1,%d}$", maxName)},
	})
}

// DescribeFile is the schema of a configuration file. No table is required in it, since each may stand in another file.
func DescribeFile() *Schema {
	root := &Schema{
		Draft: "http://json-schema.org/draft-07/schema#",
		Title: "uringproxy configuration",
		Type:  "object", Others: false,
		Description: "A configuration file of uringproxy, or one of several. Sizes and durations are strings.",
	}
	d := &decoder{listeners: &nameSet{}, services: &nameSet{}}
	t := newTable(d, "", "", nil)
	t.shape = root
	d.settings(t, defaults())
	root.named(listenersGroup, "where clients connect: [listeners.NAME]", func(t *table) { d.listener(t) })
	root.named(routesGroup, "which requests go to which service: [routes.NAME]", func(t *table) { d.route(t) })
	root.named(streamsGroup, "which connections are passed on as they are: [tcp_routes.NAME]",
		func(t *table) { d.stream(t) })
	root.named(datagramsGroup, "which UDP clients' datagrams go to which service: [udp_routes.NAME]",
		func(t *table) { d.datagrams(t) })
	root.named(servicesGroup, "sets of equivalent endpoints: [services.NAME]", func(t *table) { d.service(t) })
	return root
}

// JSON is the schema's text.
func (s *Schema) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return b.Bytes(), nil
}
