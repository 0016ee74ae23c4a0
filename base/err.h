/*
 * The error of a failed call, as a value: nothing to free, passed last, filled on the way down and
 * given context on the way up.
 *
 *	if (fd < 0)
 *		return err_errno(err, "open '%s'", path);
 *	if (load(path, err) < 0)
 *		return err_wrap(err, "service '%s'", name);
 *
 * Messages are lower case with no full stop, quote the user's strings in single quotes, say what to
 * do next where that is known, and never hold a secret. Control characters in a message are replaced
 * by '?', so a hostile file name cannot forge a log line or drive a terminal.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* What kind of failure it is; decides retry, exit status and the reason of a status condition. */
enum err_code {
	ERR_NONE,
	ERR_USAGE,   /* the command was used wrongly */
	ERR_CONFIG,  /* the repository, agent.yaml or secrets.yaml is wrong */
	ERR_GIT,     /* a repository could not be read or written */
	ERR_NETWORK, /* a remote did not answer, or not in time */
	ERR_VERIFY,  /* a commit is not signed as it must be */
	ERR_CHECK,   /* a program's own checker refused what was rendered */
	ERR_APPLY,   /* a change could not be carried out */
	ERR_HEALTH,  /* what was applied does not become healthy */
	ERR_SYSTEM,  /* a system call failed */
	ERR_LIMIT,   /* something is larger than it may be */
	ERR_DOCKER,  /* Docker does not answer, or does not do what it is asked */
	ERR_IMAGE,   /* an image cannot be had */
	ERR_WAITS,   /* a credential has not come yet */
	ERR_UNNAMED, /* this node is not of the cluster */
};

struct err {
	enum err_code code;
	char msg[1000];
};

/* Sets code and message. Always returns -1. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Sets ERR_SYSTEM and the message, followed by ": " and the text of errno. Always returns -1. */
int err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts context and ": " before the message that is there; the code stays. Always returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Empties it, so that it can be used again. */
void err_clear(struct err *err);
/* CamelCase name of a code, as status conditions use it: "ConfigError", "GitError", ... */
const char *err_code_reason(enum err_code code);

#endif
