#include "cli/boot_print.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "bootstrap/names.h"

#define LINES_DEFAULT 24
#define COLUMNS_DEFAULT 80
#define WAIT_SHOWN_MS 500
#define TICK_MS 500

static const struct {
	const char *sign;
	const char *colour;
} looks[] = {
	[BOOT_CREATE] = {"+", "\033[32m"}, [BOOT_CHANGE] = {"~", "\033[33m"},
	[BOOT_ASSIGN] = {">", "\033[33m"}, [BOOT_WAIT] = {".", ""},
	[BOOT_DELETE] = {"-", "\033[31m"}, [BOOT_SEND] = {"*", "\033[33m"},
};

/* --- the plan -------------------------------------------------------------------------------- */

static void print_step(const struct boot_step *step, FILE *to, bool colour)
{
	fprintf(to, "%s%s %-6s %-11s %s%s", colour ? looks[step->verb].colour : "",
		looks[step->verb].sign, boot_verb_name(step->verb), step->what, step->name,
		colour ? "\033[0m" : "");
	if (*step->detail)
		fprintf(to, "  %s", step->detail);
	if (step->monthly > 0)
		fprintf(to, "  $%.2f a month", step->monthly);
	if (*step->because)
		fprintf(to, "  (%s)", step->because);
	fputc('\n', to);
}

static void print_nothing(const struct boot *boot, FILE *to)
{
	if (!boot->n_steps)
		fprintf(to, "nothing to do\n");
}

/* "10 to create, 1 to delete": three hundred lines are read by nobody. */
static void print_counts(const struct boot *boot, FILE *to)
{
	bool any = false;

	for (size_t verb = 0; verb < ARRAY_SIZE(looks); verb++) {
		size_t n = 0;

		for (size_t i = 0; i < boot->n_steps; i++)
			n += boot->steps[i].verb == verb;
		if (!n)
			continue;
		fprintf(to, "%s%zu to %s", any ? ", " : "", n,
			boot_verb_name((enum boot_verb)verb));
		any = true;
	}
	if (any)
		fputc('\n', to);
}

static void print_notes(const struct boot *boot, FILE *to)
{
	for (size_t i = 0; i < boot->n_notes; i++)
		fprintf(to, "note: %s\n", boot->notes[i]);
}

void boot_print_plan(const struct boot *boot, FILE *to, bool colour)
{
	double now, then;

	for (size_t i = 0; i < boot->n_steps; i++)
		print_step(&boot->steps[i], to, colour);
	print_nothing(boot, to);
	print_notes(boot, to);
	print_counts(boot, to);
	boot_prices(boot, &now, &then);
	if (boot->cloud.open)
		fprintf(to, "droplets: $%.2f a month now, $%.2f after this\n", now, then);
}

void boot_print_result(const struct boot *boot, FILE *to)
{
	for (size_t i = 0; i < boot->n_nodes; i++) {
		const struct boot_node *node = &boot->nodes[i];
		const struct droplet *droplet = node->droplet;

		if (droplet)
			fprintf(to, "%-20s %-15s %-15s %s\n", node->node->name,
				droplet->public_address ? droplet->public_address : "-",
				droplet->private_address ? droplet->private_address : "-",
				droplet->status);
	}
	if (boot->vip && !boot->destroying)
		fprintf(to, "%-20s %s\n", "reserved IP", boot->vip);
	print_nothing(boot, to);
	print_notes(boot, to);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *step_json(const struct boot_step *step)
{
	return json_pack("{ss ss ss ss ss sf ss ss sI}", "action", boot_verb_name(step->verb),
			 "what", step->what, "name", step->name, "detail", step->detail, "because",
			 step->because, "monthly_usd", step->monthly, "state",
			 boot_state_name(step->state), "message", step->now, "took_ms",
			 (json_int_t)step->took_ms);
}

static json_t *node_json(const struct boot_node *node)
{
	const struct droplet *droplet = node->droplet;

	return json_pack("{ss sI ss? ss? ss?}", "name", node->node->name, "droplet_id",
			 (json_int_t)(droplet ? droplet->id : 0), "status",
			 droplet ? droplet->status : NULL, "public_address", node->public_address,
			 "address", droplet ? droplet->private_address : NULL);
}

static json_t *proposed_json(const struct boot *boot, unsigned add)
{
	json_t *names = json_array();

	for (unsigned i = 0; i < add; i++)
		json_array_append_new(names,
				      json_string(node_name_propose(boot->cluster, i, boot->pool)));
	return names;
}

void boot_print_json(const struct boot *boot, unsigned add, FILE *to)
{
	json_t *steps = json_array(), *nodes = json_array(), *notes = json_array();
	double now, then;
	json_t *document;
	char *text;

	boot_prices(boot, &now, &then);
	for (size_t i = 0; i < boot->n_steps; i++)
		json_array_append_new(steps, step_json(&boot->steps[i]));
	for (size_t i = 0; i < boot->n_nodes; i++)
		json_array_append_new(nodes, node_json(&boot->nodes[i]));
	for (size_t i = 0; i < boot->n_notes; i++)
		json_array_append_new(notes, json_string(boot->notes[i]));
	document =
		json_pack("{si ss ss? so so so so s{sf sf} s{si si}}", "version", 1, "cluster",
			  boot->cluster->name, "address", boot->vip, "steps", steps, "nodes", nodes,
			  "notes", notes, "proposed", proposed_json(boot, add), "monthly_usd",
			  "now", now, "after", then, "calls", "digitalocean",
			  (int)boot->cloud.api.calls, "cloudflare", (int)boot->records.api.calls);
	text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
	if (text)
		fprintf(to, "%s\n", text);
	free(text);
	json_decref(document);
}

/* --- progress ---------------------------------------------------------------------------------- */

static void say(const struct boot_step *step)
{
	fprintf(stderr, "%s %s %s: %s", boot_verb_name(step->verb), step->what, step->name,
		step->state == BOOT_RUNNING && *step->now ? step->now
							  : boot_state_name(step->state));
	if (step->state == BOOT_DONE)
		fprintf(stderr, ", %.1f s%s%s", (double)step->took_ms / 1000,
			*step->detail ? ", " : "", step->detail);
	else if (step->state == BOOT_FAILED)
		fprintf(stderr, ": %s", step->now);
	fputc('\n', stderr);
}

/* As much of it as the terminal has room for in one line. */
static void put_line(const char *text, int columns)
{
	size_t room = columns > 1 ? (size_t)columns - 1 : COLUMNS_DEFAULT;
	size_t len = strnlen(text, room);

	/* Not in the middle of a character. */
	while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	fprintf(stderr, "\033[K%.*s\n", (int)len, text);
}

static void draw_line(const struct boot_step *step, int columns)
{
	int64_t ms = step->state == BOOT_RUNNING ? clock_ms() - step->began_ms : step->took_ms;
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT;

	strbuf_addf(&line, "%s %-6s %-11s %-24s %5.1f s  ", looks[step->verb].sign,
		    boot_verb_name(step->verb), step->what, step->name, (double)ms / 1000);
	if (step->state == BOOT_FAILED || !*step->now)
		strbuf_addstr(&line, boot_state_name(step->state));
	if (*step->now)
		strbuf_addf(&line, "%s%s", step->state == BOOT_FAILED ? ": " : "", step->now);
	put_line(line.buf, columns);
}

/* As many lines as fit: those that run first, then those that are done last. */
static void draw(struct boot_progress *progress, const struct boot *boot)
{
	struct winsize size = {0};
	size_t room, shown = 0, done = 0;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row)
		size = (struct winsize) {.ws_row = LINES_DEFAULT, .ws_col = COLUMNS_DEFAULT};
	room = size.ws_row > 4 ? size.ws_row - 4u : 1;
	/* A terminal that has become narrower has broken the lines that are there: they are left as they are. */
	if (progress->lines && size.ws_col == progress->columns)
		fprintf(stderr, "\033[%zuA", progress->lines);
	progress->columns = size.ws_col;
	for (size_t i = 0; i < boot->n_steps; i++)
		done += boot->steps[i].state == BOOT_DONE;
	for (size_t i = 0; i < boot->n_steps && shown < room; i++) {
		const struct boot_step *step = &boot->steps[i];

		if (boot->n_steps > room ? step->state != BOOT_RUNNING && step->state != BOOT_FAILED
					 : step->state == BOOT_PLANNED)
			continue;
		draw_line(step, size.ws_col);
		shown++;
	}
	if (*progress->waits)
		put_line(progress->waits, size.ws_col);
	fprintf(stderr, "\033[K%zu of %zu steps done\n\033[J", done, boot->n_steps);
	progress->lines = shown + 1 + (*progress->waits != '\0');
	progress->drawn_ms = clock_ms();
}

/* Limits are waited for in silence otherwise, for minutes. Short waits are of no interest. */
static void on_wait(void *arg, int64_t ms, const char *why)
{
	struct boot_progress *progress = arg;
	bool is_drawn = progress->is_live && progress->began;
	char until[CLOCK_TEXT_SIZE];

	if (ms < WAIT_SHOWN_MS && !*progress->waits)
		return;
	progress->waits[0] = '\0';
	clock_format(clock_wall_s() + (ms + 999) / 1000, until);
	if (ms >= WAIT_SHOWN_MS)
		snprintf(progress->waits, sizeof(progress->waits), "waits %lld s, until %s: %s",
			 (long long)(ms + 999) / 1000, until, why);
	if (is_drawn)
		draw(progress, progress->boot);
	else if (*progress->waits)
		fprintf(stderr, "%s\n", progress->waits);
}

/* An API that does not answer: time goes on all the same. */
static void on_tick(void *arg)
{
	struct boot_progress *progress = arg;

	if (progress->is_live && progress->began && clock_ms() - progress->drawn_ms >= TICK_MS)
		draw(progress, progress->boot);
}

static void watch_api(struct api *api, struct boot_progress *progress)
{
	api->on_wait = on_wait;
	api->on_tick = on_tick;
	api->on_arg = progress;
}

static bool can_draw(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

void boot_progress_watch(struct boot_progress *progress, struct boot *boot)
{
	progress->is_live = can_draw();
	progress->boot = boot;
	watch_api(&boot->cloud.api, progress);
	watch_api(&boot->records.api, progress);
}

void boot_progress_begin(struct boot_progress *progress)
{
	progress->began = true;
}

void boot_progress_step(void *arg, const struct boot *boot, const struct boot_step *step)
{
	struct boot_progress *progress = arg;

	if (!progress->began)
		return;
	if (progress->is_live)
		draw(progress, boot);
	else if (step && (step->state != BOOT_RUNNING || *step->now))
		say(step);
}

void boot_progress_end(struct boot_progress *progress)
{
	progress->began = false;
}
