// The one shape of every error: {"error": {"code", "message", "details"?}}.

const STATUS = {
  invalid: 400,
  unauthenticated: 401,
  not_found: 404,
  conflict: 409,
  cursor_expired: 410,
  stale: 412,
  too_large: 413,
  unsupported_media_type: 415,
  unavailable: 503,
};

export class ApiError extends Error {
  constructor(code, message, details) {
    super(message);
    this.code = code;
    this.details = details;
  }

  get status() {
    return STATUS[this.code] ?? 500;
  }

  toJSON() {
    return { code: this.code, message: this.message, ...(this.details && { details: this.details }) };
  }
}

export const invalid = (message, path) => new ApiError("invalid", message, path ? { path } : undefined);
export const tooLarge = (message, path) => new ApiError("too_large", message, path ? { path } : undefined);
export const noConversation = (id) => new ApiError("not_found", `There is no conversation ${id}.`);
