#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/notify.h"

/* 9999-12-31T23:59:59Z: the last second that the text has room for. */
#define CLOCK_LAST_S INT64_C(253402300799)

static int64_t now_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_ms(void)
{
	return now_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return now_ms(CLOCK_REALTIME);
}

int64_t clock_wall_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

void clock_format(int64_t wall_s, char out[CLOCK_TEXT_SIZE])
{
	struct tm tm;
	time_t t;

	if (wall_s < 0)
		wall_s = 0;
	if (wall_s > CLOCK_LAST_S)
		wall_s = CLOCK_LAST_S;
	t = (time_t)wall_s;
	gmtime_r(&t, &tm);
	strftime(out, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int64_t clock_parse(const char *text)
{
	struct tm tm = {0};
	char again[CLOCK_TEXT_SIZE];
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	int64_t wall_s;

	if (!end || *end)
		return -1;
	wall_s = timegm(&tm);
	/* strptime(3) is lenient: only what reads the same when written again is such a text. */
	clock_format(wall_s, again);
	return strcmp(again, text) == 0 ? wall_s : -1;
}

void clock_sleep_ms(int64_t ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	notify_alive();
	if (ms <= 0)
		return;
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}
