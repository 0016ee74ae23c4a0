#include "bootstrap/user_data.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "render/yaml_writer.h"

#define INSTALLER "/usr/local/sbin/dynia-first-boot"

static const char head[] =
	"#cloud-config\n"
	"# Made by dynia bootstrap. Anybody on this machine can read it: it holds no secret.\n";

/* cloud-init itself tries an installation once; a mirror that hiccups must not cost a node. */
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
			    "  apt-get -o Dpkg::Options::=--force-confold -y install \"$@\"\n"
			    "}\n"
			    "retry apt-get update\n"
			    "retry add ca-certificates curl";

/* --- agent.yaml ---------------------------------------------------------------------------- */

static void put_credentials(struct yaml_writer *y, const struct credentials *credentials)
{
	const struct {
		const char *key;
		const char *value;
	} rows[] = {
		{"username", credentials->username},
		{"password_file", credentials->password_file},
		{"ssh_key", credentials->ssh_key},
		{"known_hosts", credentials->known_hosts},
	};

	yaml_map_begin(y, "credentials");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].value)
			yaml_text(y, rows[i].key, rows[i].value);
	yaml_end(y);
}

static int agent_yaml(const struct cluster *cluster, const struct node *node, struct strbuf *ret,
		      struct err *err)
{
	const struct first_agent *agent = cluster->provider.digitalocean->agent;
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();

	yaml_int(y, "version", 1);
	yaml_list_begin(y, "repository");
	for (size_t i = 0; i < agent->repository.n; i++)
		yaml_text(y, NULL, agent->repository.v[i]);
	yaml_end(y);
	yaml_text(y, "branch", agent->branch);
	yaml_text(y, "cluster", cluster->name);
	yaml_text(y, "node", node->name);
	if (agent->credentials)
		put_credentials(y, agent->credentials);
	if (agent->verify) {
		yaml_map_begin(y, "verify");
		yaml_text(y, "signers", agent->verify->signers);
		yaml_end(y);
	}
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

static void installer(const struct cluster *cluster, struct strbuf *out)
{
	strbuf_addstr(out, retry);
	put_programs(cluster, out);
	put_package(cluster->provider.digitalocean->package, out);
	strbuf_addstr(out, "systemctl enable --now dynia.service\n");
}

/* --- the whole ------------------------------------------------------------------------------ */

static void put_file(struct yaml_writer *y, const char *path, const char *mode, const char *text)
{
	yaml_map_begin(y, NULL);
	yaml_text(y, "path", path);
	yaml_text(y, "permissions", mode);
	yaml_text(y, "content", text);
	yaml_end(y);
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

static int cloud_config(const struct cluster *cluster, const struct node *node, struct strbuf *ret,
			struct err *err)
{
	CLEANUP(strbuf_release) struct strbuf agent = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf script = STRBUF_INIT;
	CLEANUP(yaml_writer_freep) struct yaml_writer *y = yaml_writer_new();

	if (agent_yaml(cluster, node, &agent, err) < 0)
		return -1;
	installer(cluster, &script);
	put_source(y, cluster->provider.digitalocean->package);
	yaml_list_begin(y, "write_files");
	put_file(y, "/etc/dynia/agent.yaml", "0644", agent.buf);
	put_file(y, INSTALLER, "0755", script.buf);
	yaml_end(y);
	yaml_list_begin(y, "runcmd");
	yaml_list_begin(y, NULL);
	yaml_text(y, NULL, INSTALLER);
	yaml_end(y);
	yaml_end(y);
	return yaml_writer_finish(y, ret, err);
}

int user_data_text(const struct cluster *cluster, const struct node *node, struct pool *pool,
		   const char **ret, struct err *err)
{
	const struct digitalocean *cloud = cluster->provider.digitalocean;
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
	if (cloud->agent->repository.n && cloud->agent->repository.v[0][0] == '/')
		return err_set(err, ERR_CONFIG,
			       "provider.digitalocean.agent.repository '%s' is a path of this "
			       "machine: a droplet needs an address",
			       cloud->agent->repository.v[0]);
	if (cloud_config(cluster, node, &body, err) < 0)
		return -1;
	/* libyaml begins a document with "---": cloud-init wants its own mark in the first line. */
	*ret = pool_printf(pool, "%s%s", head,
			   strncmp(body.buf, "---\n", 4) == 0 ? body.buf + 4 : body.buf);
	if (strlen(*ret) >= USER_DATA_MAX)
		return err_set(err, ERR_LIMIT, "user-data of node '%s' has %zu bytes: less than %d",
			       node->name, strlen(*ret), USER_DATA_MAX);
	return 0;
}
