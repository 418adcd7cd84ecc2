import NextAuth from 'next-auth';
import { options } from '../../../lib/auth.js';

export default NextAuth(options);
