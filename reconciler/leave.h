/*
 * A node that the cluster names no more takes itself out of the traffic: its health path answers 503, so that the other nodes' HAProxy
 * stop sending to it, and the track script fails, so that keepalived gives the address away. What runs goes on, for who is still
 * connected: to switch it off is `dynia bootstrap apply`'s. It begins once another node is healthy with that commit, for a commit that
 * leaves out all nodes, or the wrong one, must not take the whole cluster down; and ends with a commit that names the node again.
 */
#ifndef RECONCILER_LEAVE_H
#define RECONCILER_LEAVE_H

#include <stdbool.h>

#include "reconciler/agent.h"

/* Does the branch's tip, as far as this node has judged it, name this node no more? */
bool node_is_unnamed(const struct agent *agent, const char *tip);

#endif
