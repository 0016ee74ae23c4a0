/*
 * What differs between two revisions of a YAML file, field by field, with the line in the newer
 * one: the causes that a plan shows ("clusters/shop/services/api.yaml:4 image 1.4.1 → 1.4.2").
 */
#ifndef SPEC_CHANGES_H
#define SPEC_CHANGES_H

#include "base/strvec.h"
#include "spec/yaml.h"

/* Appends one text for each scalar that was added, removed or changed. Either tree may be NULL
 * (file added, removed). Values longer than 60 bytes are shortened; the value of a key named
 * `password` or one that holds {secret: …} is named, never shown. A line of a removed field is the
 * line in the older file, and the text says "removed". */
void yaml_changes(const char *path, const struct yaml_node *from, const struct yaml_node *to,
		  struct strvec *ret);

#endif
