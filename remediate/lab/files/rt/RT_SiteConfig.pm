# Site configuration of the lab's Request Tracker. Where things live comes from the environment, so that
# one file serves the build, the running server and a second instance in a test:
#   RT_LAB_HOME      folder for Mason's caches, sessions and the mail file
#   RT_LAB_DATABASE  absolute path of the SQLite file
#   RT_LAB_PORT      port on 127.0.0.1
use utf8;

die "RT_LAB_$_ is not set\n" for grep { !$ENV{"RT_LAB_$_"} } qw(HOME DATABASE PORT);

Set($rtname,       'lab.example');
Set($Organization, 'lab.example');
Set($Timezone,     'UTC');

Set($DatabaseType, 'SQLite');
Set($DatabaseName, $ENV{RT_LAB_DATABASE});

Set($WebDomain,  '127.0.0.1');
Set($WebPort,    $ENV{RT_LAB_PORT});
Set($WebBaseURL, "http://127.0.0.1:$ENV{RT_LAB_PORT}");
Set($WebPath,    '');

# The packaged defaults point to folders that all instances of the machine would share.
$RT::VarPath         = "$ENV{RT_LAB_HOME}/var";
$RT::MasonDataDir    = "$ENV{RT_LAB_HOME}/var/mason";
$RT::MasonSessionDir = "$ENV{RT_LAB_HOME}/var/sessions";

Set($LogToSyslog, undef);
Set($LogToSTDERR, 'warning');

# Every mail is appended to one file: nothing leaves the machine, and a test can read what a customer
# would have received.
Set($CorrespondAddress, 'changes@lab.example');
Set($CommentAddress,    'changes-comment@lab.example');
Set($MailCommand,       'testfile');
require Mail::Mailer::testfile;
$Mail::Mailer::testfile::config{outfile} = "$ENV{RT_LAB_HOME}/mail";

# Each request checks its token by bcrypt: 0.25 s at the packaged cost. The lab's tokens are random and its
# server is on loopback, so speed wins here.
Set($BcryptCost, 5);

my %priorities = (low => 0, normal => 25, high => 75, urgent => 100);
Set($EnablePriorityAsString, 1);
Set(%PriorityAsString, Default => {%priorities}, Changes => {%priorities});

# `requested` is active, and the first of the active ones, on purpose. RT's actions that open a ticket
# (a stock scrip runs one on every public reply) move an initial or inactive ticket to the first active
# status that it may reach, as the system user: with `requested` as an initial status, any reply approves.
Set(%Lifecycles,
    changes => {
        initial  => [],
        active   => [ 'requested', 'approved', 'in progress' ],
        inactive => [ 'resolved', 'rejected', 'rolled back' ],
        defaults => {
            on_create           => 'requested',
            approved            => 'approved',
            denied              => 'rejected',
            reminder_on_open    => 'in progress',
            reminder_on_resolve => 'resolved',
        },
        transitions => {
            ''            => ['requested'],
            'requested'   => [ 'approved', 'rejected' ],
            'approved'    => [ 'in progress', 'rejected' ],
            'in progress' => [ 'resolved', 'rolled back' ],
            'resolved'    => [],
            'rejected'    => [],
            'rolled back' => [],
        },
        rights => {
            # Granted to nobody: only the approval rule, which runs as the system user, passes.
            'requested -> approved' => 'ApproveChange',
            '* -> *'                => 'ModifyTicket',
        },
    },
    # No change may move to a queue with another lifecycle. RT wants the key even when there is no map.
    __maps__ => {},
);

# Clock time, not business hours (Starts would otherwise wait for the next working morning): a change window
# is often at night.
Set(%ServiceAgreements,
    QueueDefault => { Changes => 'standard' },
    Levels       => {
        urgent => {
            Starts     => { RealMinutes => 0 },
            Response   => { RealMinutes => 30 },
            KeepInLoop => { RealMinutes => 30 },
            Resolve    => { RealMinutes => 4 * 60 },
        },
        standard => {
            Starts     => { RealMinutes => 0 },
            Response   => { RealMinutes => 2 * 60 },
            KeepInLoop => { RealMinutes => 2 * 60 },
            Resolve    => { RealMinutes => 24 * 60 },
        },
    },
);

1;
