/* What HAProxy answers by itself. The pages name neither the program nor its version. */
#include "base/cleanup.h"
#include "render/haproxy.h"

static const struct page {
	int status;
	const char *reason;
	const char *text;
} pages[] = {
	{400, "Bad Request", "The request could not be understood."},
	{403, "Forbidden", "This is not allowed."},
	{408, "Request Timeout", "The request took too long to arrive."},
	{429, "Too Many Requests", "Please wait a moment and try again."},
	{500, "Internal Server Error", "Something went wrong on our side."},
	{502, "Bad Gateway", "The service gave no valid answer. Please try again soon."},
	{503, "Service Unavailable", "The service is not available now. Please try again soon."},
	{504, "Gateway Timeout", "The service took too long to answer. Please try again soon."},
};

static void add_page(const struct render_input *in, struct fileset *set, const struct page *page,
		     const char *name)
{
	CLEANUP(strbuf_release) struct strbuf body = STRBUF_INIT;
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT;

	strbuf_addf(&body,
		    "<!DOCTYPE html>\n<html lang=\"en\">\n<title>%d %s</title>\n"
		    "<h1>%s</h1>\n<p>%s</p>\n</html>\n",
		    page->status, page->reason, page->reason, page->text);
	strbuf_addf(&out,
		    "HTTP/1.1 %d %s\r\nContent-Type: text/html; charset=utf-8\r\n"
		    "Cache-Control: no-store\r\nContent-Length: %zu\r\n\r\n",
		    page->status, page->reason, body.len);
	strbuf_add(&out, body.buf, body.len);
	haproxy_add_file(in, set, name, pool_memdup(in->pool, out.buf, out.len), out.len, false);
}

void haproxy_pages(struct haproxy *h, struct fileset *set)
{
	const struct render_input *in = h->in;

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		const char *name = pool_printf(in->pool, "pages/%d.http", pages[i].status);

		add_page(in, set, &pages[i], name);
		conf_line(h->w, "errorfile %d %s", pages[i].status, haproxy_file(in, name));
	}
}
