const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Whether it can be a customer's id, which is a UUID (RFC 9562 §4). */
export const isCustomerId = (text: string) => uuid.test(text)
