const problems: Readonly<Record<string, string>> = {
  EACCES: "this user may not",
  EPERM: "this user may not",
  EROFS: "the file system is read-only",
  ENOENT: "there is no such file or folder",
  ENOTDIR: "it is no folder",
  ENAMETOOLONG: "the path is too long",
  ENOSPC: "no space is left",
  EDQUOT: "no space is left to this user",
  EMFILE: "this process may have no more files and sockets open (ulimit -n)",
  ENFILE: "the machine may have no more files and sockets open",
  EAGAIN: "no more processes and threads may be started (ulimit -u, or pids.max of the container)",
  ENOMEM: "no memory is left",
  ECONNREFUSED: "nobody listens there any more",
};

/** What an error of the system says, in words that name the limit: `"EMFILE: this process may …"`. */
export function systemProblem(error: unknown): string {
  const { code = "", message = String(error) } = (error ?? {}) as NodeJS.ErrnoException;
  const problem = problems[code];
  return problem === undefined ? message : `${code}: ${problem}`;
}
