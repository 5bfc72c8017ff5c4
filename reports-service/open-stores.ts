import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { createFolderStore } from '@tendon/platform/object-store-folder.ts'
import { createS3Store } from '@tendon/platform/object-store-s3.ts'
import { provenStore } from './objects/proven-store.ts'
import type { ReportsProcessConfig } from './options.ts'

type S3Config = Pick<
  ReportsProcessConfig,
  's3Region' | 's3Bucket' | 's3AccessKeyId' | 's3SecretAccessKey' | 's3ForcePathStyle'
>
type StoresConfig = S3Config & Pick<ReportsProcessConfig, 'redisUrl' | 'objectsPath' | 's3Endpoint'>

/** The two stores a process of its own is told of: Redis or memory, S3 or a folder. */
export function openStores(config: StoresConfig, log: Log): { keyValue: KeyValue; store: ObjectStore } {
  const { redisUrl, s3Endpoint } = config
  const keyValue = redisUrl ? createRedisKeyValue({ url: redisUrl, log }) : createMemoryKeyValue()
  const store = s3Endpoint ? openS3({ ...config, s3Endpoint }) : createFolderStore(config.objectsPath)
  return { keyValue, store }
}

export function openS3(config: S3Config & { s3Endpoint: string }): ObjectStore {
  const store = createS3Store({
    endpoint: config.s3Endpoint,
    region: config.s3Region,
    bucket: config.s3Bucket,
    accessKeyId: config.s3AccessKeyId ?? '',
    secretAccessKey: config.s3SecretAccessKey ?? '',
    forcePathStyle: config.s3ForcePathStyle,
  })
  return provenStore(store)
}
