/*
 * The node's end of the delivery of credentials (bootstrap/deliver.h has the message): checked as a
 * whole, then written to /etc/dynia with mode 0600, each file as it was or as it will be, whatever
 * happens; then the agent is woken. The same message a second time changes nothing.
 */
#ifndef RECONCILER_CREDENTIALS_H
#define RECONCILER_CREDENTIALS_H

#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "reconciler/root.h"

/* *ret_answer: one line of JSON. No error shows what is in the message. ERR_CONFIG where the message
 * is for another node. */
int credentials_install(const struct root *root, const char *message, size_t len,
			struct strbuf *ret_answer, struct err *err);

#endif
