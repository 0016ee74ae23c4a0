/* agent.yaml, row by row. */
#include "spec/model.h"
#include "spec/table_shared.h"
#include "spec/tables.h"
#include "spec/words.h"

const struct field credentials_fields[] = {
	{"username", FIELD_STRING, FIELD_AT(struct credentials, username), .check = check_user,
	 .help = "the user name for https", .example = "username: x-access-token"},
	{"password_file", FIELD_STRING, FIELD_AT(struct credentials, password_file), .max = 4095,
	 .check = check_absolute_path, .pattern = PATTERN_ABSOLUTE,
	 .help = "the file that holds the password or token for https",
	 .example = "password_file: /etc/dynia/token"},
	{"ssh_key", FIELD_STRING, FIELD_AT(struct credentials, ssh_key), .max = 4095,
	 .check = check_absolute_path, .pattern = PATTERN_ABSOLUTE,
	 .help = "the private key for ssh", .example = "ssh_key: /etc/dynia/id_ed25519"},
	{"known_hosts", FIELD_STRING, FIELD_AT(struct credentials, known_hosts), .max = 4095,
	 .check = check_absolute_path, .pattern = PATTERN_ABSOLUTE,
	 .help = "the host keys that are believed; needed with ssh_key",
	 .example = "known_hosts: /etc/dynia/known_hosts"},
	FIELD_END,
};

const struct field verify_fields[] = {
	{"signers", FIELD_STRING, FIELD_AT(struct verify, signers), .max = 4095,
	 .check = check_absolute_path, .pattern = PATTERN_ABSOLUTE,
	 .help = "the file of those who may sign commits, as ssh-keygen(1) has it under ALLOWED "
		 "SIGNERS",
	 .example = "signers: /etc/dynia/allowed_signers"},
	{"keyring", FIELD_STRING, FIELD_AT(struct verify, keyring), .max = 4095,
	 .check = check_absolute_path, .pattern = PATTERN_ABSOLUTE,
	 .help = "the OpenPGP keys of those who may, as gpg --export writes them",
	 .example = "keyring: /etc/dynia/keyring.gpg"},
	FIELD_END,
};

const struct field status_fields[] = {
	{"repository", FIELD_STRING, FIELD_AT(struct status_config, repository), .max = 2048,
	 .check = check_repository,
	 .help = "where the status refs are pushed to and read from; by default the repository "
		 "itself",
	 .example = "repository: https://github.com/acme/infra-status.git"},
	{"credentials", FIELD_STRUCT_PTR, FIELD_AT(struct status_config, credentials),
	 .size = sizeof(struct credentials), FIELD_POS(struct credentials, pos),
	 .fields = credentials_fields,
	 .help = "who the node is to status.repository; by default who it is to the repository, "
		 "where that has the same scheme, host and port, and nobody elsewhere",
	 .example =
		 "credentials: {username: x-access-token, password_file: /etc/dynia/status-token}"},
	{"heartbeat", FIELD_DURATION, FIELD_AT(struct status_config, heartbeat_ms), .min = 1000,
	 .max = 86400000, .def = "15m",
	 .help = "how often a status is pushed where nothing changed"},
	{"keep", FIELD_INT, FIELD_AT(struct status_config, keep), .min = 1, .max = 1000000,
	 .def = "1000", .help = "how many status commits are kept"},
	{"signing_key", FIELD_STRING, FIELD_AT(struct status_config, signing_key), .max = 4095,
	 .check = check_absolute_path, .pattern = PATTERN_ABSOLUTE,
	 .help = "the private SSH key, without a passphrase, that signs the node's status commits",
	 .example = "signing_key: /etc/dynia/id_ed25519"},
	FIELD_END,
};

const struct field webhook_fields[] = {
	{"secret_file", FIELD_STRING, FIELD_AT(struct webhook_config, secret_file), .max = 4095,
	 .check = check_absolute_path, .pattern = PATTERN_ABSOLUTE,
	 .help = "the file that holds the secret, mode 0600; the same on all nodes, and at the "
		 "forge",
	 .example = "secret_file: /etc/dynia/webhook-secret"},
	{"secret", FIELD_STRING, FIELD_AT(struct webhook_config, secret),
	 .check = check_secret_name, .help = "or the secret's name in secrets.yaml",
	 .example = "secret: webhook"},
	FIELD_END,
};

const struct field agent_table[] = {
	FIELD_VERSION(struct agent_config),
	{"cluster", FIELD_STRING, FIELD_AT(struct agent_config, cluster), .required = true,
	 .check = check_name, .pattern = PATTERN_NAME,
	 .help = "the cluster that the node belongs to", .example = "cluster: shop"},
	{"node", FIELD_STRING, FIELD_AT(struct agent_config, node), .check = check_name,
	 .pattern = PATTERN_NAME,
	 .help = "the node's name in cluster.yaml; by default the host name, less the cluster's "
		 "name before it",
	 .example = "node: brave-panda"},
	FIELDS_OF_EVERY_NODE,
	FIELD_END,
};

const struct table_name table_names[] = {
	{"cluster", "cluster.yaml", cluster_table,
	 "One for each cluster: clusters/NAME/cluster.yaml. It names the nodes and what stands "
	 "before the services."},
	{"service", "service.yaml", service_table,
	 "One for each service: clusters/NAME/services/SERVICE.yaml, or SERVICE/service.yaml "
	 "beside the files that the "
	 "service needs."},
	{"agent", "agent.yaml", agent_table,
	 "One on each node: /etc/dynia/agent.yaml. It says how the node finds its repository."},
	{.name = NULL},
};
