import { leaveURL } from '../../../shared/leave.js';

export default function leave(req, res) {
  res.redirect(leaveURL(process.env.NEXTAUTH_URL));
}
