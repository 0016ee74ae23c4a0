/* Runs a fuzzer once on each file that it is given, for `make check`: what a fuzzer found stays
 * mended. */
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "tests/fuzz/fuzz.h"

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		CLEANUP(strbuf_release) struct strbuf data = STRBUF_INIT;
		struct err err = {0};

		if (file_read(argv[i], 1 << 20, &data, &err) < 0) {
			fprintf(stderr, "%s\n", err.msg);
			return 1;
		}
		LLVMFuzzerTestOneInput((const uint8_t *)data.buf, data.len);
	}
	printf("%s: %d inputs\n", argv[0], argc - 1);
	return argc < 2;
}
