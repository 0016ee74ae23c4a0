/*
 * From what the repository says to the files of one node. Pure: no I/O, no clock, no environment.
 * Always from the whole cluster; one row of a table of targets a file or group of files.
 */
#ifndef RENDER_RENDER_H
#define RENDER_RENDER_H

#include "base/err.h"
#include "render/facts.h"
#include "render/fileset.h"
#include "spec/model.h"

/* Fills set (initialized by the caller). ERR_CONFIG where a value cannot be written in some
 * language, or a secret is missing; the message names the target, and for a secret the field that
 * asked for it. */
int render_node(const struct cluster *cluster, const struct node *node, const struct facts *facts,
		struct fileset *set, struct err *err);

#endif
