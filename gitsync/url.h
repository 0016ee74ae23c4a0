/* Addresses of remotes; remote_supported() in gitsync/mirror.h says which ones there are. */
#ifndef GITSYNC_URL_H
#define GITSYNC_URL_H

#include <stdbool.h>

/* As a message may show it: without user and password. */
char *url_shown(const char *url);
/* Is a server on the network asked, and not the file system? Of a supported URL. */
bool url_is_network(const char *url);
/* As libgit2 is given it. */
char *url_for_libgit2(const char *url);

#endif
