import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { sourcesErrors } from './errors.ts'

const execute = promisify(execFile)

/** How to run a program so that it is not root: ids for `spawn`, or a command to put in front. */
export type UnprivilegedUser = { uid: number; gid: number; prefix: string[] }

/**
 * The user PostgreSQL runs as when this process is root, which it refuses to be: `postgres` if the machine has
 * it, else `nobody`, so that no user has to be made. Undefined when this process is not root.
 *
 * Both may lack the right to enter the folders above (a checkout under /root, which is 0700). Then `setpriv`
 * (util-linux) lets the program keep CAP_DAC_OVERRIDE, and nothing else, from root.
 * @param owner whose an existing data folder is: the choice made when it was created stays
 * @param paths folders the program must reach
 */
export async function findUnprivilegedUser(
  paths: string[],
  owner?: { uid: number; gid: number },
): Promise<UnprivilegedUser | undefined> {
  const uid = process.getuid?.()
  if (uid !== 0) {
    if (owner === undefined || owner.uid === uid) return undefined
    throw sourcesErrors.userUnavailable(
      `The data folder belongs to the user with id ${owner.uid}, this process runs as ${uid}`,
    )
  }
  const ids = owner ?? (await lookUp('postgres')) ?? (await lookUp('nobody'))
  if (ids === undefined) {
    throw sourcesErrors.userUnavailable(
      'This process is root, and the machine has no user postgres or nobody',
    )
  }
  const reachable = await Promise.all(paths.map((path) => everyoneMayEnter(path)))
  if (reachable.every(Boolean)) return { ...ids, prefix: [] }
  return { ...ids, prefix: await keepingFolderAccess(ids) }
}

async function lookUp(user: string): Promise<{ uid: number; gid: number } | undefined> {
  try {
    const [uid, gid] = await Promise.all([execute('id', ['-u', user]), execute('id', ['-g', user])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return undefined
  }
}

async function everyoneMayEnter(path: string): Promise<boolean> {
  const executeForOthers = 0o001
  const { mode } = await stat(path)
  if ((mode & executeForOthers) === 0) return false
  const parent = dirname(path)
  return parent === path || everyoneMayEnter(parent)
}

async function keepingFolderAccess({ uid, gid }: { uid: number; gid: number }): Promise<string[]> {
  const prefix = [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    '--inh-caps=-all,+dac_override',
    '--ambient-caps=-all,+dac_override',
  ]
  try {
    const [command = '', ...args] = [...prefix, 'true']
    await execute(command, args)
    return prefix
  } catch (cause) {
    throw sourcesErrors.userUnavailable(
      'This process is root, and the user PostgreSQL would run as may not enter the data folder or the checkout',
      { cause },
    )
  }
}
