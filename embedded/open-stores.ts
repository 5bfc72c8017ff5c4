import { join } from 'node:path'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import type { Lifecycle } from '@tendon/platform/lifecycle.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { createFolderStore } from '@tendon/platform/object-store-folder.ts'
import { createS3Store } from '@tendon/platform/object-store-s3.ts'
import type { EmbeddedConfig } from './options.ts'

/** Report objects, sessions and generations: in a folder and in memory, or on the real servers that are set. */
export async function openStores(
  config: EmbeddedConfig,
  parts: { dataPath: string; lifecycle: Lifecycle; log: Log },
): Promise<{ objectStore: ObjectStore; keyValue: KeyValue }> {
  const { dataPath, lifecycle, log } = parts
  const objectStore = config.s3Endpoint
    ? createS3Store({
        endpoint: config.s3Endpoint,
        region: config.s3Region,
        bucket: config.s3Bucket,
        accessKeyId: config.s3AccessKeyId ?? '',
        secretAccessKey: config.s3SecretAccessKey ?? '',
        forcePathStyle: true,
      })
    : createFolderStore(join(dataPath, 'objects'))
  const keyValue = config.redisUrl
    ? createRedisKeyValue({ url: config.redisUrl, log })
    : createMemoryKeyValue()
  await lifecycle.start('object store', { start: () => objectStore.check() })
  await lifecycle.start('key-value store', { start: () => keyValue.check(), stop: () => keyValue.close() })
  return { objectStore, keyValue }
}
