/** The staff's role: reads every customer's reports and the fleet's, and may end everybody's sessions. */
export const reportAdminRole = 'report-admin'
