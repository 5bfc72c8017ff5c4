import { addAbortSignal, type Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadBucketCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  type LifecycleRule,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import {
  assertObjectKey,
  assertObjectKeyPrefix,
  type ObjectHead,
  type ObjectStore,
  type StoredObject,
} from './object-store.ts'
import { platformErrors } from './platform-errors.ts'

const maxAttempts = 4
/** Before the second attempt of what the SDK does not repeat by itself; grows with each. */
const pauseMs = 50
/** Of a call with all its attempts: who asked through a gateway still hears that it is the object store that is away. */
const callTimeoutMs = 5_000
/** Of one attempt, so that there is time for a second. */
const attemptTimeoutMs = 2_000

type CallOptions = { abortSignal: AbortSignal }

/** Objects in a bucket of any S3 service that knows conditional writes, as Amazon's and MinIO do. */
export function createS3Store(options: {
  endpoint: string
  region: string
  bucket: string
  accessKeyId: string
  secretAccessKey: string
  /** `<endpoint>/<bucket>/<key>` instead of `<bucket>.<endpoint>/<key>`; MinIO wants it. */
  forcePathStyle: boolean
}): ObjectStore {
  const { bucket: Bucket, endpoint, region, accessKeyId, secretAccessKey, forcePathStyle } = options
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle,
    credentials: { accessKeyId, secretAccessKey },
    // The SDK's default adds CRC headers that not every S3 service knows.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Exponential backoff with jitter, and a token bucket that stops a fleet from retrying a service to death.
    retryMode: 'standard',
    maxAttempts,
    requestHandler: {
      connectionTimeout: attemptTimeoutMs,
      requestTimeout: attemptTimeoutMs,
      throwOnRequestTimeout: true,
    },
  })

  return {
    async head(key) {
      assertObjectKey(key)
      const output = await asking(key, (call) =>
        client.send(new HeadObjectCommand({ Bucket, Key: key }), call),
      )
      return output && toHead(output)
    },

    async get(key) {
      assertObjectKey(key)
      return asking(key, (call) => readWhole(client, new GetObjectCommand({ Bucket, Key: key }), call))
    },

    async put(key, body, attributes, { onlyIfAbsent = false } = {}) {
      assertObjectKey(key)
      const command = new PutObjectCommand({
        Bucket,
        Key: key,
        Body: body,
        ContentLength: body.byteLength,
        ContentType: attributes.contentType,
        ContentEncoding: attributes.contentEncoding,
        CacheControl: attributes.cacheControl,
        ...(onlyIfAbsent && { IfNoneMatch: '*' }),
      })
      try {
        return await inTime((call) => putUnlessRefused(client, command, call))
      } catch (cause) {
        throw unavailable(key, cause)
      }
    },

    async delete(key) {
      assertObjectKey(key)
      await asking(key, (call) => client.send(new DeleteObjectCommand({ Bucket, Key: key }), call))
    },

    async *list(prefix) {
      assertObjectKeyPrefix(prefix)
      // Asked page by page, so that no more is held than one page of 1,000 keys.
      let ContinuationToken: string | undefined
      do {
        const command = new ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken })
        const page = await asking(prefix, (call) => client.send(command, call))
        for (const { Key: key, LastModified: modifiedAt } of page?.Contents ?? []) {
          if (key !== undefined && modifiedAt !== undefined) yield { key, modifiedAt }
        }
        ContinuationToken = page?.NextContinuationToken
      } while (ContinuationToken)
    },

    async expireAfter(prefix, days) {
      assertObjectKeyPrefix(prefix)
      const rule: LifecycleRule = {
        ID: `tendon-${prefix.replaceAll('/', '-')}`,
        Status: 'Enabled',
        Filter: { Prefix: prefix },
        Expiration: { Days: days },
      }
      try {
        await inTime(async (call) => {
          const others = (await lifecycleRules(client, Bucket, call)).filter(({ ID }) => ID !== rule.ID)
          const LifecycleConfiguration = { Rules: [...others, rule] }
          await client.send(
            new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration }),
            call,
          )
        })
        return true
      } catch (cause) {
        const status = cause instanceof S3ServiceException ? cause.$metadata.httpStatusCode : undefined
        if (status === 403 || status === 405 || status === 501) return false
        throw unavailable(`the rule for ${prefix}`, cause)
      }
    },

    async check() {
      const found = await asking(Bucket, (call) => headBucket(client, Bucket, call))
      if (!found) await asking(Bucket, (call) => createBucket(client, Bucket, call))
    },
  }
}

function toHead(output: HeadObjectCommandOutput | GetObjectCommandOutput): ObjectHead {
  return {
    size: output.ContentLength ?? 0,
    etag: output.ETag ?? '',
    modifiedAt: output.LastModified ?? new Date(0),
    contentType: output.ContentType ?? 'application/octet-stream',
    ...(output.ContentEncoding && { contentEncoding: output.ContentEncoding }),
    ...(output.CacheControl && { cacheControl: output.CacheControl }),
  }
}

/** The SDK asks again until an answer begins. One whose body then stalls or breaks off is asked for again here. */
async function readWhole(
  client: S3Client,
  command: GetObjectCommand,
  call: CallOptions,
): Promise<StoredObject> {
  for (let attempt = 1; ; attempt += 1) {
    const output = await client.send(command, call)
    const signal = AbortSignal.any([call.abortSignal, AbortSignal.timeout(attemptTimeoutMs)])
    try {
      const chunks = await addAbortSignal(signal, output.Body as Readable).toArray()
      return { ...toHead(output), body: new Uint8Array(Buffer.concat(chunks)) }
    } catch (error) {
      if (attempt === maxAttempts) throw error
      await delay(attempt * pauseMs, undefined, { signal: call.abortSignal })
    }
  }
}

/**
 * Whether the object was written. 412 says that the key is there, 409 that another conditional write of it is
 * under way, after which S3 wants to be asked again (Amazon S3 User Guide, "Conditional writes"). A bucket that somebody
 * removed is made again, as a folder is.
 */
async function putUnlessRefused(
  client: S3Client,
  command: PutObjectCommand,
  call: CallOptions,
): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.send(command, call)
      return true
    } catch (error) {
      const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined
      if (status === 412) return false
      if (attempt === 1 && (error as Error).name === 'NoSuchBucket') {
        await createBucket(client, String(command.input.Bucket), call)
        continue
      }
      if (status !== 409 || attempt === maxAttempts) throw error
      await delay(attempt * pauseMs)
    }
  }
}

/** A bucket has one configuration, which is written whole: whoever adds a rule must know the others. */
async function lifecycleRules(client: S3Client, bucket: string, call: CallOptions): Promise<LifecycleRule[]> {
  try {
    const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket })
    return (await client.send(command, call)).Rules ?? []
  } catch (error) {
    if (error instanceof S3ServiceException && error.name === 'NoSuchLifecycleConfiguration') return []
    throw error
  }
}

/** HEAD is refused without a word, since it has no body (RFC 9110 §9.3.2): a GET, for which one needs the same right, says why. */
async function headBucket(client: S3Client, bucket: string, call: CallOptions) {
  try {
    return await client.send(new HeadBucketCommand({ Bucket: bucket }), call)
  } catch (error) {
    const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined
    if (status === 403) await client.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 }), call)
    throw error
  }
}

async function createBucket(client: S3Client, bucket: string, call: CallOptions): Promise<void> {
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }), call)
  } catch (error) {
    // Another instance that starts at the same time made it.
    if (!(error instanceof S3ServiceException && error.name === 'BucketAlreadyOwnedByYou')) throw error
  }
}

/** HEAD has no body, hence no code but the first. Without its bucket there is no object either: who would put it is to come to that. */
const absences = ['NotFound', 'NoSuchKey', 'NoSuchBucket']

/** Undefined where S3 answers that there is no such thing. */
async function asking<T>(what: string, ask: (call: CallOptions) => Promise<T>): Promise<T | undefined> {
  try {
    return await inTime(ask)
  } catch (error) {
    if (error instanceof S3ServiceException && absences.includes(error.name)) return undefined
    throw unavailable(what, error)
  }
}

/** A signal alone would end neither the SDK's pause before an attempt nor a body that does not come. */
async function inTime<T>(ask: (call: CallOptions) => Promise<T>): Promise<T> {
  const abortSignal = AbortSignal.timeout(callTimeoutMs)
  const overdue = Promise.withResolvers<never>()
  const end = () => overdue.reject(abortSignal.reason)
  abortSignal.addEventListener('abort', end)
  try {
    return await Promise.race([ask({ abortSignal }), overdue.promise])
  } finally {
    abortSignal.removeEventListener('abort', end)
  }
}

function unavailable(what: string, cause: unknown) {
  return platformErrors.objectStoreUnavailable(`the object store did not serve ${what}`, { cause })
}
