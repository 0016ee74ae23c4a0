/* What libyaml could not read, in words that a person can use. */
#ifndef SPEC_YAML_PROBLEM_H
#define SPEC_YAML_PROBLEM_H

#include <stddef.h>
#include <yaml.h>

#include "base/diag.h"

/* Adds one diagnostic about a parser that failed on data. */
void yaml_report_problem(const yaml_parser_t *parser, const char *path, const char *data,
			 size_t len, struct diags *diags);

#endif
