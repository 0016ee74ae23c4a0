/* Pieces that more than one table uses. */
#ifndef SPEC_TABLE_SHARED_H
#define SPEC_TABLE_SHARED_H

#include "spec/table.h"

extern const struct field resources_fields[];   /* struct resources */
extern const struct field credentials_fields[]; /* struct credentials */
extern const struct field verify_fields[];      /* struct verify */
extern const struct field status_fields[];      /* struct status_config */
extern const struct field webhook_fields[];     /* struct webhook_config */

/* The first row of every file: struct TYPE has int64_t version. */
#define FIELD_VERSION(type)                                                                        \
	{                                                                                          \
		"version", FIELD_INT, FIELD_AT(type, version),                                     \
			.required = true, .min = 1, .max = 1,                                      \
			.help = "the version of this format: 1"                                    \
	}

/* The rows of agent.yaml that are the same on all nodes of a cluster: of struct agent_config, or of a
 * struct that begins with one. */
#define FIELDS_OF_EVERY_NODE                                                                       \
	{"repository",                                                                             \
	 FIELD_STRINGS,                                                                            \
	 FIELD_AT(struct agent_config, repository),                                                \
	 .required = true,                                                                         \
	 .one_or_list = true,                                                                      \
	 .unique = true,                                                                           \
	 .max = 2048,                                                                              \
	 .check = check_repository,                                                                \
	 .help = "the repository: https, ssh, git, file or a path; a list is tried in order",      \
	 .example = "repository: https://github.com/acme/infra.git"},                              \
		{"branch",                                                                         \
		 FIELD_STRING,                                                                     \
		 FIELD_AT(struct agent_config, branch),                                            \
		 .def = "main",                                                                    \
		 .check = check_branch,                                                            \
		 .help = "the branch that says what is wanted"},                                   \
		{"interval",                                                                       \
		 FIELD_DURATION,                                                                   \
		 FIELD_AT(struct agent_config, interval_ms),                                       \
		 .min = 1000,                                                                      \
		 .max = 86400000,                                                                  \
		 .def = "30s",                                                                     \
		 .help = "how often the repository is asked, give or take a tenth"},               \
		{"deadline",                                                                       \
		 FIELD_DURATION,                                                                   \
		 FIELD_AT(struct agent_config, deadline_ms),                                       \
		 .min = 1000,                                                                      \
		 .max = 3600000,                                                                   \
		 .def = "60s",                                                                     \
		 .help = "how long one fetch or push may take"},                                   \
		{"credentials",                                                                    \
		 FIELD_STRUCT_PTR,                                                                 \
		 FIELD_AT(struct agent_config, credentials),                                       \
		 .size = sizeof(struct credentials),                                               \
		 FIELD_POS(struct credentials, pos),                                               \
		 .fields = credentials_fields,                                                     \
		 .help = "who the node is to the repository",                                      \
		 .example = "credentials: {username: x-access-token, password_file: "              \
			    "/etc/dynia/token}"},                                                  \
		{"ca_file",                                                                        \
		 FIELD_STRING,                                                                     \
		 FIELD_AT(struct agent_config, ca_file),                                           \
		 .max = 4095,                                                                      \
		 .check = check_absolute_path,                                                     \
		 .pattern = PATTERN_ABSOLUTE,                                                      \
		 .help = "the authorities, in PEM, that are believed for https to the "            \
			 "repository; by "                                                         \
			 "default the machine's",                                                  \
		 .example = "ca_file: /etc/dynia/ca.pem"},                                         \
		{"proxy",                                                                          \
		 FIELD_STRING,                                                                     \
		 FIELD_AT(struct agent_config, proxy),                                             \
		 .max = 255,                                                                       \
		 .check = check_proxy,                                                             \
		 .help = "the proxy for https to the repository",                                  \
		 .example = "proxy: http://proxy.internal:3128"},                                  \
		{"verify",                                                                         \
		 FIELD_STRUCT_PTR,                                                                 \
		 FIELD_AT(struct agent_config, verify),                                            \
		 .size = sizeof(struct verify),                                                    \
		 FIELD_POS(struct verify, pos),                                                    \
		 .fields = verify_fields,                                                          \
		 .help = "whose commits are taken; absent: anybody's who can push",                \
		 .example = "verify: {signers: /etc/dynia/allowed_signers}"},                      \
		{"status", FIELD_STRUCT, FIELD_AT(struct agent_config, status),                    \
		 .fields = status_fields, .help = "how the node reports"},                         \
		{"webhook",                                                                        \
		 FIELD_STRUCT_PTR,                                                                 \
		 FIELD_AT(struct agent_config, webhook),                                           \
		 .size = sizeof(struct webhook_config),                                            \
		 FIELD_POS(struct webhook_config, pos),                                            \
		 .fields = webhook_fields,                                                         \
		 .help = "POST /hook there makes a pass at once, and on the cluster's other "      \
			 "nodes: for the "                                                         \
			 "webhooks of GitHub, GitLab and Gitea",                                   \
		 .example = "webhook: {secret_file: /etc/dynia/webhook-secret}"},                  \
		{"docker",                                                                         \
		 FIELD_STRING,                                                                     \
		 FIELD_AT(struct agent_config, docker),                                            \
		 .def = "/var/run/docker.sock",                                                    \
		 .check = check_absolute_path,                                                     \
		 .help = "the socket of the Docker daemon that runs the services",                 \
		 .example = "docker: /run/user/1000/docker.sock"},                                 \
	{                                                                                          \
		"listen", FIELD_STRING, FIELD_AT(struct agent_config, listen),                     \
			.def = "127.0.0.1:9797", .check = check_listen,                            \
			.help = "where health, metrics and the webhook answer"                     \
	}

#define PATTERN_ABSOLUTE "^/.*[^/]$"
#define PATTERN_NAME "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
#define PATTERN_WORD "^[A-Za-z0-9][A-Za-z0-9._-]*$"
#define PATTERN_CIDR "^[0-9a-fA-F.:]+/[0-9]{1,3}$"
#define PATTERN_HOSTNAME "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
#define PATTERN_HOST "^(\\*\\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
#define PATTERN_REGISTRY "^[a-z0-9.-]+(:[0-9]{1,5})?$"
#define PATTERN_IMAGE "^[a-z0-9][A-Za-z0-9._/:@-]*$"

#endif
