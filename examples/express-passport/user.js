// What a page is told of who is signed in: never the token. Express has put it on the request.
export function withUser(more = async () => ({})) {
  return async (context) => ({ props: { user: context.req.user?.profile ?? null, ...await more(context) } });
}
