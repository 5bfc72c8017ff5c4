import { join } from 'node:path'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Lifecycle } from '@tendon/platform/lifecycle.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { openStores as openServiceStores } from '@tendon/reports-service/open-stores.ts'
import type { EmbeddedConfig } from './options.ts'

/** Report objects, sessions and generations: in a folder and in memory, or on the real servers that are set. */
export async function openStores(
  config: EmbeddedConfig,
  parts: { dataPath: string; lifecycle: Lifecycle; log: Log },
): Promise<{ objectStore: ObjectStore; keyValue: KeyValue }> {
  const { dataPath, lifecycle, log } = parts
  const objectsPath = join(dataPath, 'objects')
  const { store, keyValue } = openServiceStores({ ...config, objectsPath }, log)
  await lifecycle.start('object store', { start: () => store.check() })
  await lifecycle.start('key-value store', { start: () => keyValue.check(), stop: () => keyValue.close() })
  return { objectStore: store, keyValue }
}
