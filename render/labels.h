/* The labels of the containers and networks that Dynia makes. What has not LABEL_ROOT with this
 * node's own root is never touched. */
#ifndef RENDER_LABELS_H
#define RENDER_LABELS_H

#define LABEL_ROOT "dynia.root"       /* --root's folder, "/" without */
#define LABEL_CLUSTER "dynia.cluster" /* whose */
#define LABEL_SERVICE "dynia.service"
#define LABEL_SPEC "dynia.spec"   /* digest of all that the container is made from */
#define LABEL_FILES "dynia.files" /* digest of the files that it mounts */
#define LABEL_SURGE "dynia.surge" /* it shows that it works beside the old one */
#define LABEL_NETWORK "dynia.network"
#define LABEL_INGRESS                                                                              \
	"dynia.ingress" /* HAProxy or Caddy: the root, a space, the program; no LABEL_ROOT */

/* Compose's own. */
#define LABEL_PROJECT "com.docker.compose.project"
#define LABEL_PART "com.docker.compose.service"

#endif
