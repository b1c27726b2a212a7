import { readFileSync, readlinkSync } from 'node:fs';

/**
 * The path of a UNIX socket that was inherited: Node knows none for a descriptor, the kernel does.
 *
 * @param unixSockets the text of /proc/net/unix
 * @param inode of the socket, as the link of its descriptor shows it
 * @returns undefined when there is no such socket, or it has no path
 */
export function pathOfInode(unixSockets: string, inode: string): string | undefined {
  // Num: RefCount Protocol Flags Type St Inode Path
  for (const line of unixSockets.split('\n').slice(1)) {
    const match = /^\S+: \S+ \S+ \S+ \S+ \S+ +(\d+)(?: (.+))?$/.exec(line);
    if (match?.[1] === inode) return match[2];
  }
  return undefined;
}

/** The path of an inherited UNIX socket by its descriptor; undefined when it is none, or has no path. */
export function pathOfDescriptor(fd: number): string | undefined {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    return inode === undefined ? undefined : pathOfInode(readFileSync('/proc/net/unix', 'utf8'), inode);
  } catch {
    return undefined;
  }
}
