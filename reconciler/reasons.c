#include "reconciler/reasons.h"

#include <string.h>

static const struct {
	const char *name;
	const char *meaning;
} rows[REASON_COUNT] = {
	[REASON_FETCHED] = {"Fetched", "a repository answered"},
	[REASON_HISTORY_REWRITTEN] = {"HistoryRewritten",
				      "the branch does not descend from what was applied"},
	[REASON_OLDER_HISTORY] = {"OlderHistory", "the branch went back to an earlier commit"},
	[REASON_NOT_REQUIRED] = {"NotRequired", "agent.yaml names no signers"},
	[REASON_NOTHING_VERIFIED] = {"NothingVerified", "no signature has been looked at yet"},
	[REASON_SIGNED] = {"Signed", "every commit is signed by one of the signers"},
	[REASON_UNSIGNED_COMMIT] = {"UnsignedCommit", "a commit is not signed"},
	[REASON_UNKNOWN_SIGNER] = {"UnknownSigner",
				   "a commit's signature is wrong, or its key is not allowed: not "
				   "known, expired or revoked"},
	[REASON_BAD_COMMIT] = {"BadCommit",
			       "a commit is made so that no signature could be judged"},
	[REASON_TOO_MANY_COMMITS] = {"TooManyCommits",
				     "more commits than a node verifies in one go"},
	[REASON_NO_REVISION] = {"NoRevision", "no commit of the branch has been seen yet"},
	[REASON_CHECKED] = {"Checked", "the commit has no error that was found"},
	[REASON_APPLIED] = {"Applied", "a commit is applied, whole"},
	[REASON_NOTHING_APPLIED] = {"NothingApplied", "no commit has been applied yet"},
	[REASON_HEALTHY] = {"Healthy", "all that was looked at works"},
	[REASON_NOT_OBSERVED] = {"NotObserved", "it could not be looked at"},
	[REASON_HELD_BY_HAND] = {"HeldByHand", "a person suspended the node, or rolled it back"},
	[REASON_WAITS_FOR_HEALTH] = {"WaitsForHealth",
				     "a new commit has until rollout.health_timeout to work"},
	[REASON_RETRYING] = {"Retrying", "the last pass failed; the next one tries again"},
	[REASON_DONE] = {"Done", "there is nothing to do"},
	[REASON_WAITS_FOR_COMMIT] = {"WaitsForCommit",
				     "the commit was refused; it is not tried again until the "
				     "branch moves"},
	[REASON_REFUSED] = {"Refused", "the commit may not be taken: Ready says why"},
	[REASON_MOVING] = {"Moving", "nothing holds the node up"},
	[REASON_NEW_CONTAINERS_START] = {"NewContainersStart",
					 "new containers show beside the old ones that they work"},
	[REASON_PUSHED] = {"Pushed", "the status gets to its repository"},
	[REASON_STATUS_REF_REPLACED] = {"StatusRefReplaced",
					"somebody else deleted or set this node's status ref"},
	[REASON_HELD] = {"Held", "this node keeps the cluster's address and records"},

	[REASON_NO_CONTAINERS] = {"NoContainers", "the node has no container"},
	[REASON_CONTAINER_STARTING] = {"ContainerStarting",
				       "a container has just been started, or its health check has "
				       "not passed yet"},
	[REASON_CONTAINER_UNHEALTHY] = {"ContainerUnhealthy", "a container's health check fails"},
	[REASON_CONTAINER_RESTARTS] = {"ContainerRestarts", "a container ends again and again"},
	[REASON_CONTAINER_DOWN] = {"ContainerDown", "a container does not run"},
	[REASON_PROGRAM_FAILED] = {"ProgramFailed",
				   "HAProxy, Caddy or keepalived does not run or answer"},
	[REASON_WRONG_CONFIGURATION] =
		{"WrongConfiguration", "HAProxy or Caddy runs another configuration than its file"},
	[REASON_NO_SERVER_UP] = {"NoServerUp", "HAProxy holds none of its servers for up"},
	[REASON_SERVICE_STARTING] = {"ServiceStarting",
				     "a service does not answer yet, and has its start_period"},
	[REASON_SERVICE_FAILING] = {"ServiceFailing",
				    "a service's health path failed, less than retries times"},
	[REASON_SERVICE_FAILED] = {"ServiceFailed",
				   "a service's health path failed, retries times in a row"},
	[REASON_DISK_NEARLY_FULL] = {"DiskNearlyFull",
				     "a file system has little space or few inodes left"},
	[REASON_DISK_FULL] = {"DiskFull", "a file system has no space or no inodes left"},
	[REASON_DISK_READ_ONLY] = {"DiskReadOnly", "a file system takes no writes"},
	[REASON_MEMORY_LOW] = {"MemoryLow", "the machine has little memory left"},
	[REASON_MEMORY_EXHAUSTED] = {"MemoryExhausted", "the machine has no memory left"},
	[REASON_CERTIFICATE_BROKEN] = {"CertificateBroken",
				       "a certificate's file cannot be used, and is passed over"},
	[REASON_CERTIFICATE_EXPIRES] = {"CertificateExpires", "a certificate ends soon"},
	[REASON_CERTIFICATE_EXPIRED] = {"CertificateExpired", "a certificate has ended"},

	[REASON_CONFIG_ERROR] = {"ConfigError", "the repository or secrets.yaml is wrong"},
	[REASON_GIT_ERROR] = {"GitError", "a repository could not be read or written"},
	[REASON_NETWORK_ERROR] = {"NetworkError", "a remote did not answer, or not in time"},
	[REASON_VERIFY_ERROR] = {"VerifyError", "a commit is not signed as it must be"},
	[REASON_CHECK_ERROR] = {"CheckError", "a program's own checker refused what was rendered"},
	[REASON_APPLY_ERROR] = {"ApplyError", "a change could not be carried out"},
	[REASON_HEALTH_ERROR] = {"HealthError", "what was applied did not become healthy"},
	[REASON_SYSTEM_ERROR] = {"SystemError", "the machine failed: a disk, a limit, a right"},
	[REASON_LIMIT_ERROR] = {"LimitError", "something is larger than it may be"},
	[REASON_DOCKER_UNAVAILABLE] = {"DockerUnavailable", "Docker does not answer"},
	[REASON_IMAGE_UNAVAILABLE] = {"ImageUnavailable", "an image cannot be had"},
	[REASON_WAITS_FOR_CREDENTIALS] = {"WaitsForCredentials",
					  "a credential that agent.yaml names has not come yet"},
	[REASON_NOT_NAMED] = {"NotNamed", "the commit does not name this node"},
};

const char *reason_name(enum reason reason)
{
	return rows[reason].name;
}

const char *reason_meaning(enum reason reason)
{
	return rows[reason].meaning;
}

enum reason reason_named(const char *name, enum reason otherwise)
{
	for (size_t i = 0; i < REASON_COUNT; i++)
		if (strcmp(rows[i].name, name) == 0)
			return (enum reason)i;
	return otherwise;
}

enum reason reason_of(enum err_code code)
{
	const char *name = err_code_reason(code);

	for (size_t i = REASON_CONFIG_ERROR; i < REASON_COUNT; i++)
		if (strcmp(rows[i].name, name) == 0)
			return (enum reason)i;
	return REASON_SYSTEM_ERROR;
}
