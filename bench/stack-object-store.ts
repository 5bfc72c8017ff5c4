import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { createS3Store } from '@tendon/platform/object-store-s3.ts'
import { z } from 'zod'

const environment = z.object(
  {
    S3_ENDPOINT: z.url(),
    S3_REGION: z.string(),
    S3_ACCESS_KEY_ID: z.string(),
    S3_SECRET_ACCESS_KEY: z.string(),
  },
  'the stack\'s MinIO is needed: npm run stack -- up minio; eval "$(npm run -s stack -- env)"',
)

/** The reports' bucket in the stack's MinIO. @throws when the environment does not name it */
export function openStackObjectStore(): ObjectStore {
  const env = environment.parse(process.env)
  return createS3Store({
    endpoint: env.S3_ENDPOINT,
    region: env.S3_REGION,
    bucket: 'tendon',
    accessKeyId: env.S3_ACCESS_KEY_ID,
    secretAccessKey: env.S3_SECRET_ACCESS_KEY,
    forcePathStyle: true,
  })
}
