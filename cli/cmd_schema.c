#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "cli/command.h"
#include "reconciler/reasons.h"
#include "spec/schema.h"

static const struct table_name *find_table(const char *name)
{
	for (const struct table_name *t = table_names; t->name; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

static void list_reasons(struct strbuf *out)
{
	for (size_t i = 0; i < REASON_COUNT; i++)
		strbuf_addf(out, "%s\t%s\n", reason_name((enum reason)i),
			    reason_meaning((enum reason)i));
}

static int run(const struct command *self, int argc, char **argv)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT;
	bool reference = false;
	bool reasons = false;
	const struct cli_option options[] = {
		{"reference", NULL, "the whole reference, in Markdown", .flag = &reference},
		{"reasons", NULL, "every reason of a condition, and what it means",
		 .flag = &reasons},
		CLI_OPTION_END,
	};
	struct cli_args args = {.most = 1};
	int status = cli_parse(self, options, argc, argv, &args);
	const struct table_name *table;

	if (status >= 0)
		return status;
	if (reference) {
		schema_reference(&text);
	} else if (reasons) {
		list_reasons(&text);
	} else {
		table = find_table(args.n ? args.v[0] : "cluster");
		if (!table)
			return cli_usage_error(self,
					       "there is no schema '%s': cluster, service or agent",
					       args.v[0]);
		schema_json(table, &text);
	}
	fwrite(text.buf, 1, text.len, stdout);
	return EXIT_DONE;
}

const struct command cmd_schema = {
	.name = "schema",
	.arguments = "[cluster|service|agent]",
	.summary = "print the JSON Schema of a file, for editors",
	.help = "Printed from the same tables that read the files. Without a name it is that of\n"
		"cluster.yaml.",
	.example = "  dynia schema service >service.schema.json",
	.run = run,
};
