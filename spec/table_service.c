/* A service's file, row by row. */
#include "spec/model.h"
#include "spec/table_shared.h"
#include "spec/tables.h"
#include "spec/words.h"

static const struct field respond_fields[] = {
	{"status", FIELD_INT, FIELD_AT(struct respond, status), .min = 200, .max = 599,
	 .def = "200", .help = "the status of the answer"},
	{"body", FIELD_STRING, FIELD_AT(struct respond, body), .def = "", .max = 65536,
	 .multiline = true, .check = check_body, .help = "the text of the answer",
	 .example = "body: \"Back soon.\""},
	{"content_type", FIELD_STRING, FIELD_AT(struct respond, content_type),
	 .def = "text/plain; charset=utf-8", .check = check_content_type,
	 .help = "what kind of text it is"},
	FIELD_END,
};

static const struct field health_fields[] = {
	{"path", FIELD_STRING, FIELD_AT(struct health, path), .check = check_http_path,
	 .pattern = "^/[^ {}]*$",
	 .help = "asked through the ingress with the service's host; an answer below 400 is "
		 "healthy; absent: not asked",
	 .example = "path: /health"},
	{"command", FIELD_STRINGS, FIELD_AT(struct health, command), .max = 4096,
	 .help = "run inside of the container, without a shell; status 0 is healthy; absent: not "
		 "run",
	 .example = "command: [curl, -fsS, \"http://127.0.0.1:8080/health\"]"},
	{"interval", FIELD_DURATION, FIELD_AT(struct health, interval_ms), .min = 1000,
	 .max = 86400000, .def = "30s", .help = "how often it is asked"},
	{"timeout", FIELD_DURATION, FIELD_AT(struct health, timeout_ms), .min = 100, .max = 3600000,
	 .def = "5s", .help = "how long an answer may take; not longer than the interval"},
	{"retries", FIELD_INT, FIELD_AT(struct health, retries), .min = 1, .max = 100, .def = "3",
	 .help = "how many failures in a row make it unhealthy"},
	{"start_period", FIELD_DURATION, FIELD_AT(struct health, start_period_ms), .min = 0,
	 .max = 86400000, .def = "0s", .help = "how long failures do not count after a start"},
	FIELD_END,
};

static const char *const update_orders[] = {[UPDATE_AUTO] = "auto",
					    [UPDATE_START_FIRST] = "start-first",
					    [UPDATE_STOP_FIRST] = "stop-first",
					    NULL};

static const struct field update_fields[] = {
	{"order", FIELD_CHOICE, FIELD_AT(struct update, order), FIELD_POS(struct update, order_pos),
	 .choices = update_orders, .def = "auto",
	 .help = "start-first: the new container shows that it works beside the old one, which "
		 "serves until then; stop-first: one at a time; auto: start-first where it writes "
		 "to no volume"},
	FIELD_END,
};

const struct field service_table[] = {
	FIELD_VERSION(struct service),
	{"hosts", FIELD_STRINGS, FIELD_AT(struct service, hosts), .one_or_list = true,
	 .unique = true, .check = check_host, .pattern = PATTERN_HOST,
	 .help = "the host names where it answers; *.example.com takes those that no other service "
		 "has",
	 .example = "hosts: [api.example.com]"},
	{"default", FIELD_BOOL, FIELD_AT(struct service, is_default),
	 FIELD_POS(struct service, default_pos), .def = "false",
	 .help = "it answers for every host that no service has"},
	{"image", FIELD_STRING, FIELD_AT(struct service, image),
	 FIELD_POS(struct service, image_pos), .check = check_image, .pattern = PATTERN_IMAGE,
	 .help = "the image of its container; exactly one of image, compose, static and respond is "
		 "needed",
	 .example = "image: registry.example.com/acme/api:1.4.2"},
	{"compose", FIELD_STRING, FIELD_AT(struct service, compose),
	 FIELD_POS(struct service, compose_pos), .check = check_inner_path,
	 .help = "a compose file of your own in the service's folder; it is used as it is, with an "
		 "override beside it",
	 .example = "compose: compose.yaml"},
	{"entry", FIELD_STRING, FIELD_AT(struct service, entry),
	 FIELD_POS(struct service, entry_pos), .check = check_word, .pattern = PATTERN_WORD,
	 .help = "with compose, the one of its services that answers; by default the one with this "
		 "service's name",
	 .example = "entry: api"},
	{"static", FIELD_STRING, FIELD_AT(struct service, site),
	 FIELD_POS(struct service, site_pos), .check = check_inner_path,
	 .help = "a folder inside the service's folder that Caddy serves",
	 .example = "static: ./site"},
	{"respond", FIELD_STRUCT_PTR, FIELD_AT(struct service, respond),
	 .size = sizeof(struct respond), FIELD_POS(struct respond, pos), .fields = respond_fields,
	 .help = "one fixed answer: a placeholder",
	 .example = "respond: {status: 503, body: \"Back soon.\"}"},
	{"port", FIELD_INT, FIELD_AT(struct service, port), FIELD_POS(struct service, port_pos),
	 .min = 1, .max = 65535,
	 .help = "the port that it listens on in its container; needed with image and compose",
	 .example = "port: 8080"},
	{"publish", FIELD_INT, FIELD_AT(struct service, publish),
	 FIELD_POS(struct service, publish_pos), .min = 1, .max = 65535,
	 .help = "the port on the node's loopback where it is reached; by default one of 20000 to "
		 "32767 that follows "
		 "from the service's name",
	 .example = "publish: 20080"},
	{"env", FIELD_MAP_VALUES, FIELD_AT(struct service, env), .max = 32768,
	 .check_key = check_env_name,
	 .help = "environment variables: a text, or {secret: NAME} for one of the node's "
		 "/etc/dynia/secrets.yaml",
	 .example = "env: {LOG_LEVEL: info, DATABASE_URL: {secret: api-database-url}}"},
	{"volumes", FIELD_STRINGS, FIELD_AT(struct service, volumes), .max = 1024,
	 .pattern = "^[^:]+:/[^:]*(:(ro|rw))?$",
	 .help = "SOURCE:TARGET or SOURCE:TARGET:ro, where SOURCE is the name of a volume, or "
		 "./PATH in the service's "
		 "folder",
	 .example = "volumes: [\"data:/var/lib/api\", \"./files/api.toml:/etc/api.toml:ro\"]"},
	{"health", FIELD_STRUCT, FIELD_AT(struct service, health), FIELD_POS(struct health, pos),
	 .fields = health_fields, .help = "how to find out whether it works",
	 .example = "health: {path: /health, start_period: 20s}"},
	{"resources", FIELD_STRUCT, FIELD_AT(struct service, resources), .fields = resources_fields,
	 .help = "what its container may use",
	 .example = "resources: {limits: {memory: 256M, cpus: 0.5}, reservations: {memory: 128M}}"},
	{"update", FIELD_STRUCT, FIELD_AT(struct service, update), .fields = update_fields,
	 .help = "how its container is replaced", .example = "update: {order: stop-first}"},
	{"nodes", FIELD_NODES, FIELD_AT(struct service, nodes),
	 FIELD_POS(struct service, nodes_pos), .def = "all",
	 .help = "where it runs: all, a list of names, or the nodes that have all of some labels",
	 .example = "nodes: {labels: {disk: ssd}}"},
	FIELD_END,
};
