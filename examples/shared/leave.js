/** Where signing out goes on: NextAuth ends its own session alone, this ends the one at the house. */
export function leaveURL(returnTo) {
  return `${process.env.GATEHOUSE_DOMAIN}/v2/logout?${new URLSearchParams({ client_id: process.env.GATEHOUSE_CLIENT_ID, returnTo })}`;
}
