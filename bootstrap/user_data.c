#include "bootstrap/user_data.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "bootstrap/digitalocean.h"
#include "render/yaml_writer.h"
#include "spec/tables.h"

#define INSTALLER "/usr/local/sbin/dynia-first-boot"
#define CONTACT "/etc/dynia/contact"

static const char head[] = "#cloud-config\n"
			   "# Made by dynia bootstrap. Anybody on this machine can read it: it "
			   "holds no lasting secret.\n";

/* cloud-init itself tries an installation once; a mirror that hiccups must not cost a node, nor must the
 * distribution's own upgrades, which are at work in the first minutes. */
static const char retry[] = "#!/bin/sh\n"
			    "# Turns a bare machine into a node. Can be run again.\n"
			    "set -eu\n"
			    "export DEBIAN_FRONTEND=noninteractive\n"
			    "retry() {\n"
			    "  for pause in 2 5 10 20 30 60; do\n"
			    "    \"$@\" && return 0\n"
			    "    sleep \"$pause\"\n"
			    "  done\n"
			    "  \"$@\"\n"
			    "}\n"
			    "add() {\n"
			    "  apt-get -o DPkg::Lock::Timeout=300 \\\n"
			    "    -o Dpkg::Options::=--force-confold -y install \"$@\"\n"
			    "}\n";

/* Debian starts a daemon as soon as it is installed: Caddy would show its welcome page to the world, and
 * hold the port of an ingress in containers. Runtime `system` unmasks what it starts
 * (reconciler/runtime_system.c). A node that has had an agent stays as it is. */
static const char mask[] = "if [ ! -d /var/lib/dynia ]; then\n"
			   "  systemctl mask --now haproxy.service caddy.service || true\n"
			   "fi\n";

/* A certificate for its host key, by which the operator's ssh knows the machine. Before anything
 * that takes its time; a machine without sshd has none. */
static const char certify[] =
	"key=/etc/ssh/ssh_host_ed25519_key\n"
	"if [ -f " CONTACT " ] && [ -f \"$key.pub\" ]; then\n"
	"  ssh-keygen -q -h -s " CONTACT " -I '%s' -n '%s' \"$key.pub\"\n"
	"  mkdir -p /etc/ssh/sshd_config.d\n"
	"  echo \"HostCertificate $key-cert.pub\" >/etc/ssh/sshd_config.d/10-dynia.conf\n"
	"  systemctl try-reload-or-restart ssh.service\n"
	"  rm -f " CONTACT "\n"
	"fi\n";

/* --- agent.yaml ---------------------------------------------------------------------------- */

static void put_map(struct yaml_writer *y, const struct field *fields, const struct yaml_node *map);

static int64_t number_of(const struct yaml_node *node)
{
	int64_t value = 0;

	(void)parse_int(node->text, INT64_MIN, INT64_MAX, &value, &(struct err) {0});
	return value;
}

/* As cluster.yaml has it. A node of the list is written by yaml_text(), which quotes it. */
static void put_value(struct yaml_writer *y, const struct field *f, const struct yaml_node *node)
{
	if (node->kind == YAML_NODE_SCALAR && f->kind == FIELD_INT) {
		yaml_int(y, f->key, number_of(node));
	} else if (node->kind == YAML_NODE_SCALAR) {
		yaml_text(y, f->key, node->text);
	} else if (node->kind == YAML_NODE_LIST) {
		yaml_list_begin(y, f->key);
		for (size_t i = 0; i < node->n; i++)
			yaml_text(y, NULL, node->items[i]->text);
		yaml_end(y);
	} else if (f->fields) {
		yaml_map_begin(y, f->key);
		put_map(y, f->fields, node);
		yaml_end(y);
	}
}

/* What the map says of these keys; what it does not say has its default on the node, too. */
static void put_map(struct yaml_writer *y, const struct field *fields, const struct yaml_node *map)
{
	for (const struct field *f = fields; f->key; f++) {
		const struct yaml_node *value = yaml_get(map, f->key);

		if (value && !yaml_is_null(value))
			put_value(y, f, value);
	}
}

static int agent_yaml(const struct cluster *cluster, const struct node *node, struct strbuf *ret,
		      struct err *err)
{
	const struct yaml_node *provider = yaml_get(cluster->yaml, "provider");
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();

	yaml_int(y, "version", 1);
	yaml_text(y, "cluster", cluster->name);
	yaml_text(y, "node", node->name);
	put_map(y, agent_table, yaml_get(yaml_get(provider, "digitalocean"), "agent"));
	return yaml_writer_finish(y, ret, err);
}

/* --- the installer ------------------------------------------------------------------------- */

/* What the node's runtime needs, besides what the package itself asks for. */
static void put_programs(const struct cluster *cluster, struct strbuf *out)
{
	if (cluster->ingress.runtime != RUNTIME_CONTAINER)
		strbuf_addstr(out, " haproxy caddy");
	if (cluster->vip)
		strbuf_addstr(out, " keepalived");
	/* The plugin where the distribution has it, else the older program. */
	strbuf_addstr(out, " docker.io\n"
			   "add docker-compose-v2 || retry add docker-compose\n");
}

/* The URL has no character that means something between single quotes (check_download()). */
static void put_package(const struct package *package, struct strbuf *out)
{
	if (package->source) {
		strbuf_addstr(out, "retry add dynia\n");
		return;
	}
	strbuf_addf(out,
		    "deb=/var/cache/dynia-%.12s.deb\n"
		    "retry curl --fail --silent --show-error --location --max-time 300 \\\n"
		    "  --output \"$deb\" '%s'\n"
		    "echo \"%s  $deb\" | sha256sum --check --strict --quiet\n"
		    "retry add \"$deb\"\n"
		    "rm -f \"$deb\"\n",
		    package->sha256, package->url, package->sha256);
}

/* Names are of letters, digits and '-'. */
static void installer(const struct cluster *cluster, const char *machine, bool has_contact,
		      struct strbuf *out)
{
	strbuf_addstr(out, retry);
	if (has_contact)
		strbuf_addf(out, certify, machine, machine);
	strbuf_addstr(out, mask);
	strbuf_addstr(out, "retry apt-get update\n"
			   "retry add ca-certificates curl");
	put_programs(cluster, out);
	put_package(cluster->provider.digitalocean->package, out);
	strbuf_addstr(out, "systemctl enable --now dynia.service\n");
}

/* --- the whole ------------------------------------------------------------------------------ */

static void put_file(struct yaml_writer *y, const char *path, const char *mode,
		     const char *encoding, const char *text)
{
	yaml_map_begin(y, NULL);
	yaml_text(y, "path", path);
	yaml_text(y, "permissions", mode);
	if (encoding)
		yaml_text(y, "encoding", encoding);
	yaml_text(y, "content", text);
	yaml_end(y);
}

/* Where the files go that are no secret, and what is in them. */
static void put_public_files(struct yaml_writer *y, const struct first_agent *agent)
{
	const struct credentials *who = agent->config.credentials;
	const struct verify *verify = agent->config.verify;
	const struct {
		const char *path;
		const char *text;
	} rows[] = {
		{agent->config.ca_file, agent->files.ca},
		{who ? who->known_hosts : NULL, agent->files.known_hosts},
		{verify ? verify->signers : NULL, agent->files.signers},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].path && rows[i].text)
			put_file(y, rows[i].path, "0644", NULL, rows[i].text);
	if (verify && verify->keyring && agent->files.keyring)
		put_file(y, verify->keyring, "0644", "b64", agent->files.keyring);
}

static void put_source(struct yaml_writer *y, const struct package *package)
{
	if (!package->source)
		return;
	yaml_map_begin(y, "apt");
	yaml_map_begin(y, "sources");
	yaml_map_begin(y, "dynia");
	yaml_text(y, "source", package->source);
	yaml_text(y, "key", package->key);
	yaml_end(y);
	yaml_end(y);
	yaml_end(y);
}

static int cloud_config(const struct cluster *cluster, const struct node *node,
			const char *contact_key, struct strbuf *ret, struct err *err)
{
	CLEANUP(pool_freep) struct pool *pool = pool_new();
	CLEANUP(strbuf_release) struct strbuf agent = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf script = STRBUF_INIT;
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();

	if (agent_yaml(cluster, node, &agent, err) < 0)
		return -1;
	installer(cluster, droplet_name(pool, cluster->name, node->name), contact_key, &script);
	put_source(y, cluster->provider.digitalocean->package);
	yaml_list_begin(y, "write_files");
	put_file(y, "/etc/dynia/agent.yaml", "0644", NULL, agent.buf);
	put_public_files(y, cluster->provider.digitalocean->agent);
	if (contact_key)
		put_file(y, CONTACT, "0600", NULL, contact_key);
	put_file(y, INSTALLER, "0755", NULL, script.buf);
	yaml_end(y);
	yaml_list_begin(y, "runcmd");
	yaml_list_begin(y, NULL);
	yaml_text(y, NULL, INSTALLER);
	yaml_end(y);
	yaml_end(y);
	return yaml_writer_finish(y, ret, err);
}

int user_data_text(const struct cluster *cluster, const struct node *node, const char *contact_key,
		   struct pool *pool, const char **ret, struct err *err)
{
	const struct digitalocean *cloud = cluster->provider.digitalocean;
	const struct spec_strings *repository;
	CLEANUP(strbuf_release) struct strbuf body = STRBUF_INIT;

	if (!cloud)
		return err_set(err, ERR_CONFIG,
			       "cluster '%s' has no 'provider.digitalocean': its nodes are not "
			       "made by dynia bootstrap",
			       cluster->name);
	if (!cloud->agent || !cloud->package)
		return err_set(err, ERR_CONFIG, "%s: provider.digitalocean.%s is missing: %s",
			       cluster->path, cloud->agent ? "package" : "agent",
			       cloud->agent ? "how does a new droplet get dynia?"
					    : "how does a new droplet find this repository?");
	repository = &cloud->agent->config.repository;
	for (size_t i = 0; i < repository->n; i++)
		if (repository->v[i][0] == '/' || strncmp(repository->v[i], "file:", 5) == 0)
			return err_set(err, ERR_CONFIG,
				       "provider.digitalocean.agent.repository '%s' is a path of "
				       "this machine: a droplet needs an address",
				       repository->v[i]);
	if (cloud_config(cluster, node, contact_key, &body, err) < 0)
		return -1;
	/* libyaml begins a document with "---": cloud-init wants its own mark in the first line. */
	*ret = pool_printf(pool, "%s%s", head,
			   strncmp(body.buf, "---\n", 4) == 0 ? body.buf + 4 : body.buf);
	if (strlen(*ret) >= USER_DATA_MAX)
		return err_set(err, ERR_LIMIT, "user-data of node '%s' has %zu bytes: less than %d",
			       node->name, strlen(*ret), USER_DATA_MAX);
	return 0;
}
